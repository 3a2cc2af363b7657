package bridge

import (
	"regexp"
	"runtime/debug"
	"strings"
)

// Version returns the version of the program, as the Go toolchain stamped it into the binary. Without one it is "devel", with the revision
// of the source if that is known: devel-1a2b3c4d5e6f, with +dirty behind it if files had been changed.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unstamped
	}
	return versionOf(info)
}

const unstamped = "devel"

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	version, dirty := unstamped, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && s.Value != "":
			version += "-" + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return version + dirty
}

var semantic = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

// semanticVersion returns a version as NATS micro services have it: three numbers, without the "v" of Go.
func semanticVersion(version string) string {
	if v := strings.TrimPrefix(version, "v"); semantic.MatchString(v) {
		return v
	}
	return "0.0.0"
}
