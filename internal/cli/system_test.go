package cli_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/cli"
)

func TestSomebodyAtATerminalIsAsked(t *testing.T) {
	t.Parallel()
	const nobody = "Do 2 things? Nobody is here to say so: add --yes"
	for _, test := range []struct {
		in       io.Reader
		terminal bool
		want     string
	}{
		{strings.NewReader("y\n"), true, ""},
		{strings.NewReader("YES\n"), true, ""},
		{strings.NewReader("no\n"), true, "nothing was done"},
		{strings.NewReader("\n"), true, nobody},
		{strings.NewReader(""), true, nobody},
		{strings.NewReader("y\n"), false, nobody},
	} {
		var asked output
		got := ""
		if err := cli.Confirm(t.Context(), test.in, test.terminal, &asked); err != nil {
			got = err.Error()
		}
		if got != test.want || strings.Contains(asked.String(), "Do 2 things? [y/N]") != test.terminal {
			t.Errorf("it asks %q and says %q, want %q", asked.String(), got, test.want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	in, answer := io.Pipe()
	defer answer.Close()
	cancel(errors.New("interrupted"))
	if err := cli.Confirm(ctx, in, true, io.Discard); err == nil {
		t.Error("an interruption was taken for a yes")
	}
}

func TestAMomentIsATimeOrHowLongAgoItIs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90m": now.Add(-90 * time.Minute), "1h30m": now.Add(-90 * time.Minute), "0s": now,
		"7d": now.AddDate(0, 0, -7), "2026-01-31T12:00:00Z": time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		"2026-01-31T12:00:00.5+01:00": time.Date(2026, 1, 31, 11, 0, 0, 5e8, time.UTC),
	} {
		if got, err := cli.ParseMoment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1h", "-1d", "1.5d", "yesterday", "2026-01-31", "99999999d"} {
		if got, err := cli.ParseMoment(text, now); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
	if status, _, stderr := run(t, "dead-letters", "--since=soon"); status != 80 || !strings.Contains(stderr, "90m or 7d") {
		t.Errorf("exits with %d: %s", status, stderr)
	}
}

func FuzzParseMoment(f *testing.F) {
	for _, text := range []string{"1h", "7d", "65535d", "2026-01-31T12:00:00Z", "-1h", "d", "9223372036854775807ns"} {
		f.Add(text)
	}
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		at, err := cli.ParseMoment(text, now)
		if err == nil && at.After(now) && !strings.Contains(text, "T") {
			t.Errorf("%q is in the future: %s", text, at)
		}
	})
}

// It changes the environment, and so is not parallel.
func TestWhatIsSaidWinsOverTheEnvironment(t *testing.T) {
	m := newMarket(t)
	t.Setenv("NATS_URL", strings.TrimPrefix(m.nats, "--nats="))
	elsewhere := t.TempDir()
	for _, args := range [][]string{{"dead-letters", "list"}, {"dead-letters", "list", "--dir", elsewhere, m.nats}} {
		if status, _, stderr := run(t, args...); status != 0 {
			t.Errorf("%q exits with %d: %s", args, status, stderr)
		}
	}
	if status, _, stderr := run(t, "dead-letters", "retry", "--dir", elsewhere); status != 1 || !strings.Contains(stderr, "nothing runs in "+elsewhere) {
		t.Errorf("--dir exits with %d: %s", status, stderr)
	}
}

func TestCredentialsOfAURLAreNotShown(t *testing.T) {
	t.Parallel()
	status, _, stderr := run(t, "dead-letters", "--nats=nats://me:s3cret@"+free(t))
	if status != 1 || strings.Contains(stderr, "s3cret") {
		t.Errorf("exits with %d: %s", status, stderr)
	}
}
