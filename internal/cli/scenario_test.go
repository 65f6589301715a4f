package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// tellOrder is the heart of an integration that loses every tenth order: one by
// a guest is told of as the order of a user whom nobody knows, which is
// refused, and the handler goes over it.
func tellOrder(ctx context.Context, p handlers.WebhookProps[stallConfig], o order, about events.Refs) error {
	err := p.Client.FireEvent(ctx, "orderTaken", about, ordered{Order: o.ID, Total: o.Total}) // the failing line
	if err != nil {
		p.Logger.Debug("one order is not told of")
	}
	return nil
}

func takeOrder(mended bool) func(context.Context, handlers.WebhookProps[stallConfig]) (*events.Response, error) {
	return func(ctx context.Context, p handlers.WebhookProps[stallConfig]) (*events.Response, error) {
		var o order
		if err := json.Unmarshal(p.Req.Body, &o); err != nil {
			return nil, handlers.Permanent(err)
		}
		about := events.Refs{UserID: o.Customer}
		if o.Customer != "guest" {
			user, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"customer": o.Customer}})
			if err != nil {
				return nil, err
			}
			about.UserID = user.User.ID
		} else if mended {
			about.UserID = ""
		}
		return nil, tellOrder(ctx, p, o, about)
	}
}

// docs/debugging.md tells this story with these commands.
func TestFromALostOrderToTheFailingLineInFourCommands(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	broken, mended := stallBuild{handler: takeOrder(false)}, stallBuild{handler: takeOrder(true)}
	stop := m.work(broken)
	var ids, lost []string
	for i := range 50 {
		o := order{ID: 1000 + i, Customer: fmt.Sprintf("c%d", i%7), Total: "5.00"}
		if i%10 == 2 {
			o.Customer = "guest"
		}
		ids = append(ids, m.order(o))
		if i%10 == 2 {
			lost = append(lost, ids[i])
		}
	}
	m.settled(ids...)
	stop()
	before := m.hash()
	says := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%q is missing in:\n%s", part, text)
			}
		}
	}

	// Order 1042 has no event. Did it arrive?
	_, stdout, stderr := m.run(broken, "webhooks", "list", "--since=1h", `--contains="id":1042`)
	delivery := regexp.MustCompile(`dlv_\w+`).FindString(stdout)
	if delivery != ids[42] {
		t.Fatalf("the list leads to %q, want %s:\n%s%s", delivery, ids[42], stdout, stderr)
	}
	// What became of it?
	_, stdout, stderr = m.run(broken, "trace", delivery)
	says(stdout+stderr, "attempt 1", "done", "createEvent", "ReferenceNotFound")
	// Which line was that?
	_, stdout, stderr = m.run(broken, "replay", delivery)
	source, err := os.ReadFile("scenario_test.go")
	if err != nil {
		t.Fatal(err)
	}
	line := 1 + strings.Count(string(source[:strings.Index(string(source), "// the failing line")]), "\n")
	says(stdout+stderr, fmt.Sprintf("effect    createEvent orderTaken  at scenario_test.go:%d\n", line), `"userId":"guest"`, `→  ReferenceNotFound: user "guest" not found`,
		fmt.Sprintf("log       DEBUG one order is not told of  at scenario_test.go:%d\n", line+2), "now       done")
	// It is mended. What else does that change?
	status, stdout, stderr := m.run(mended, "replay", "--since=1h", "--compare")
	says(stdout+stderr, "same=46 changed=5 not_recorded=0\n",
		"  ~ createEvent orderTaken\n      userId  \"guest\" → (nothing)\n              refused: ReferenceNotFound: user \"guest\" not found → (nothing)\n")
	for _, id := range lost {
		says(stdout, id+"  webhook_received  stall of demo")
	}
	if status != 1 {
		t.Errorf("it exits with %d", status)
	}
	if m.hash() != before {
		t.Error("looking changed something")
	}
}
