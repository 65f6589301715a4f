package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
)

func TestReadingLogsEndsWhereverTheNewestLineIs(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	read := func(alias string, since time.Time) (got []string) {
		t.Helper()
		err := b.ReadLogs(ctx, "demo", alias, since, false, func(line broker.LogLine) error {
			got = append(got, line.Message)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	at := time.Now()
	for _, message := range []string{"one", "two"} {
		if err := b.Log(broker.LogLine{Time: at, Bot: "demo", Alias: "slack", Message: message}); err != nil {
			t.Fatal(err)
		}
	}
	for len(read("slack", time.Time{})) < 2 { // lines are on their way until they are stored
		if ctx.Err() != nil {
			t.Fatal("the lines never came")
		}
	}
	for name, c := range map[string]struct {
		alias string
		since time.Time
		want  []string
	}{
		"no line":             {"shopify", time.Time{}, nil},
		"from the start":      {"", time.Time{}, []string{"one", "two"}},
		"from before":         {"slack", at, []string{"one", "two"}},
		"all lines are older": {"slack", at.Add(time.Hour), nil},
	} {
		if diff := cmp.Diff(c.want, read(c.alias, c.since)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
