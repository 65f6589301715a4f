package e2e_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath/towpath/test/system"
)

func TestDevSaysWhatIsWrongAndStartsNothing(t *testing.T) {
	t.Parallel()
	d := startDev(t, t.TempDir())
	taken := strings.TrimPrefix(d.API, "http://")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	content := "bots:\n  - id: demo\n    token: 0123456789abcdef\n    colour: red\ninstallations:\n  - bot: nobody\n    integration: slack\n"
	if err := os.WriteFile(bad, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		name string
		args []string // after dev, in a new directory
		dir  string
		want []string
	}{
		{"a second one in the directory", anyPorts, filepath.Join(d.dir, "kept"), []string{"another dev runs in", "--dir"}},
		{"a taken port", []string{anyPorts[0], "--api=" + taken}, "", []string{"--api", taken, "address already in use", "port 0"}},
		{"a taken port for NATS", append(anyPorts[:3:3], "--nats="+taken), "", []string{"NATS", taken, "address already in use"}},
		{"a faulty configuration", append(anyPorts[:4:4], "--config="+bad), "", []string{"bad.yaml:4", "colour", "bad.yaml:6", "no bot of this file has that id"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			if one.dir == "" {
				one.dir = filepath.Join(t.TempDir(), "kept")
			}
			status, stdout, stderr := finish(t, system.Run{Binary: binaries.Towpath, Args: append([]string{"dev", "--dir", one.dir}, one.args...), Dir: t.TempDir()})
			if status != 1 || stdout != "" {
				t.Errorf("exits with %d and prints %q", status, stdout)
			}
			t.Log(strings.TrimSpace(stderr))
			wantAll(t, stderr, one.want...)
			if strings.Contains(one.name, "faulty") {
				if _, err := os.Stat(filepath.Join(one.dir, "nats")); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("NATS was started: %v", err)
				}
			}
		})
	}
	// Whatever was refused, the first one is still there to be found.
	t.Run("unknown names", func(t *testing.T) {
		t.Parallel()
		for _, one := range []struct {
			args []string
			want []string
		}{
			{[]string{"trigger", "slack", "nosuch"}, []string{`no sample "nosuch"`, "message", "team_join"}},
			{[]string{"trigger", "nosuch", "message"}, []string{`no integration "nosuch"`, "shopify", "slack"}},
			{[]string{"trigger", "slack", "message", "--alias=other"}, []string{"installed as slack"}},
			{[]string{"definition", "nosuch"}, []string{"slack"}},
		} {
			args := one.args
			if args[0] == "trigger" {
				args = append(args, "--dir", filepath.Join(d.dir, "kept"))
			}
			status, _, stderr := finish(t, system.Run{Binary: binaries.Towpath, Args: args})
			if status != 1 {
				t.Errorf("%v exits with %d", one.args, status)
			}
			wantAll(t, stderr, one.want...)
		}
	})
	t.Run("nothing runs", func(t *testing.T) {
		t.Parallel()
		status, _, stderr := finish(t, system.Run{Binary: binaries.Towpath, Args: []string{"trigger", "slack", "message", "--dir", t.TempDir()}})
		if status != 1 {
			t.Errorf("exits with %d", status)
		}
		wantAll(t, stderr, "towpath dev", "--dir", "--nats")
	})
}
