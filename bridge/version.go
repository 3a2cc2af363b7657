package bridge

import "runtime/debug"

// Version returns the version of the program, as the Go toolchain stamped it into the binary.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
