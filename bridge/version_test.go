package bridge

import (
	"runtime/debug"
	"testing"
)

func TestVersionIsSensibleWithoutAStamp(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3":                   {Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{revision}},
		"devel":                    {Main: debug.Module{Version: "(devel)"}},
		"devel-0123456789ab":       {Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "false"}}},
		"devel-0123456789ab+dirty": {Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}},
	} {
		if got := versionOf(info); got != want {
			t.Errorf("version = %s, want %s", got, want)
		}
	}
}
