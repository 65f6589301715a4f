package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
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

// story returns the commands of the story that docs/debugging.md tells.
func story(t *testing.T) (commands [][]string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/debugging.md")
	if err != nil {
		t.Fatal(err)
	}
	_, told, found := strings.Cut(string(page), "\n## A story\n")
	told, _, _ = strings.Cut(told, "\n## ")
	if !found {
		t.Fatal("docs/debugging.md tells no story")
	}
	for line := range strings.Lines(told) {
		if command, ok := strings.CutPrefix(line, "$ towpath "); ok {
			commands = append(commands, strings.Fields(command))
		}
	}
	return commands
}

func TestFromALostOrderToTheFailingLineInFourCommands(t *testing.T) {
	t.Parallel()
	commands := story(t)
	if len(commands) != 4 {
		t.Fatalf("the story needs the commands %q", commands)
	}
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

	delivery := regexp.MustCompile(`dlv_\w+`)
	follow := func(b stallBuild, n int, status int, parts ...string) string {
		t.Helper()
		for i, word := range commands[n] {
			commands[n][i] = delivery.ReplaceAllString(word, ids[42])
		}
		got, stdout, stderr := m.run(b, commands[n]...)
		if got != status {
			t.Errorf("%v exits with %d", commands[n], got)
		}
		for _, part := range parts {
			if !strings.Contains(stdout+stderr, part) {
				t.Errorf("%q is missing in what %v prints:\n%s%s", part, commands[n], stdout, stderr)
			}
		}
		return stdout
	}
	if listed := delivery.FindAllString(follow(broken, 0, 0, "order-1042"), -1); !slices.Equal(listed, ids[42:43]) {
		t.Errorf("the list leads to %v, want %s", listed, ids[42])
	}
	follow(broken, 1, 0, "attempt 1", "done", "createEvent", `ReferenceNotFound: user "guest" not found`)
	source, err := os.ReadFile("scenario_test.go")
	if err != nil {
		t.Fatal(err)
	}
	above, _, _ := bytes.Cut(source, []byte("// the failing line"))
	line := 1 + bytes.Count(above, []byte("\n"))
	follow(broken, 2, 0,
		fmt.Sprintf("  effect    createEvent orderTaken  at scenario_test.go:%d\n", line), `"userId":"guest"`,
		"         →  ReferenceNotFound: user \"guest\" not found\n",
		fmt.Sprintf("  log       DEBUG one order is not told of  at scenario_test.go:%d\n", line+2), "now       done")
	changes := follow(mended, 3, 1, "same=46 changed=5 not_recorded=0\n", "5 of 51 deliveries come out otherwise now than then",
		"  ~ createEvent orderTaken\n      userId  \"guest\" → (nothing)\n      refused: ReferenceNotFound: user \"guest\" not found → (nothing)\n")
	if changed := delivery.FindAllString(changes, -1); !slices.Equal(changed, lost) {
		t.Errorf("%v change, want %v", changed, lost)
	}
	if m.hash() != before {
		t.Error("looking changed something")
	}
}
