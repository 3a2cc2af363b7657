package bridge

import (
	"regexp"
	"runtime/debug"
	"strings"
)

// Version returns the version of the program, as the Go toolchain stamped it into the binary.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

var semantic = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

// semanticVersion returns a version as NATS micro services have it: three numbers, without the "v" of Go.
func semanticVersion(version string) string {
	if v := strings.TrimPrefix(version, "v"); semantic.MatchString(v) {
		return v
	}
	return "0.0.0"
}
