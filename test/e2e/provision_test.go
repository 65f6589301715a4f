package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/shopify"
	"github.com/towpath/towpath/pkg/handlers/slack"
	"github.com/towpath/towpath/test/system"
)

const provisioned = "streams are ready; bots changed: %d, installations: %d new, %d changed, %d removed\n"

// answersSample returns an error unless a signed sample gets the status.
func (a *apart) answersSample(installed handlers.Installed, name, webhook, id string, status int) error {
	sample, err := installed.Sample(name, handlers.SampleArgs{ID: id, Text: id, Conversation: "C1", User: "U1", Now: time.Now()})
	if err != nil {
		return err
	}
	got, err := send(a.ingest+"/webhooks/"+webhook, sample)
	if err == nil && got.status != status {
		err = fmt.Errorf("%s answers %d %q, not %d", webhook, got.status, got.body, status)
	}
	return err
}

func TestAChangedConfigurationCountsWithinASecond(t *testing.T) {
	t.Parallel()
	a := startApart(t, 1)
	both := map[string]string{"slack": slackConfiguration(a.fake, slackSecret), "shopify": shopifyConfiguration(a.fake)}
	for _, fresh := range []int{1, 0} { // the second time, nothing
		if got, want := a.provision(both), fmt.Sprintf(provisioned, 0, fresh, 0, 0); got != want {
			t.Errorf("provision prints %q, not %q", got, want)
		}
	}
	shop := configure(t, shopify.Integration, both["shopify"])
	system.Eventually(t, time.Second, "the new installation", func() error {
		return a.answersSample(shop, "orders/create", "webhook_shopify", "order1", http.StatusOK)
	})
	system.Eventually(t, 5*time.Second, "its registration", func() error {
		return a.lists("shopify registered", "slack registered")
	})

	const newSecret = "9f742231b10e8888abcd99yyyzzz85a5"
	changed := slackConfiguration(a.fake, newSecret)
	if got, want := a.provision(map[string]string{"slack": changed}), fmt.Sprintf(provisioned, 0, 0, 1, 1); got != want {
		t.Errorf("provision prints %q, not %q", got, want)
	}
	system.Eventually(t, time.Second, "the end of the removed installation", func() error {
		return a.answersSample(shop, "orders/create", "webhook_shopify", "order2", http.StatusNotFound)
	})
	system.Eventually(t, time.Second, "the new secret", func() error {
		return a.answersSample(configure(t, slack.Integration, changed), "message", "webhook_slack", "new", http.StatusOK)
	})
	if err := a.answersSample(a.slack, "message", "webhook_slack", "old", http.StatusUnauthorized); err != nil {
		t.Error("the old secret:", err)
	}
	system.Eventually(t, 5*time.Second, "unregister", func() error {
		for _, r := range a.fake.requests(t, "/shopify/") {
			if r.Method == http.MethodDelete && r.Accepted {
				return a.lists("slack registered")
			}
		}
		return fmt.Errorf("Shopify was asked to delete nothing")
	})

	for name, p := range a.processes {
		p.Signal(syscall.SIGTERM)
		if status := p.Wait(10 * time.Second); status != 0 {
			t.Errorf("%s exits with %d", name, status)
		}
	}
}

// lists returns an error unless the installations are those, each with its
// status.
func (a *apart) lists(want ...string) error {
	a.t.Helper()
	status, lines, stderr := finish(a.t, system.Run{Binary: binaries.Towpath, Args: []string{"installations", "--json", "--nats", a.nats.URL}})
	if status != 0 {
		return fmt.Errorf("installations exits with %d: %s", status, stderr)
	}
	var got []string
	for line := range strings.Lines(lines) {
		var one struct {
			Alias      string `json:"alias"`
			Status     string `json:"status"`
			WebhookURL string `json:"webhookUrl"`
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			return err
		}
		got = append(got, one.Alias+" "+one.Status)
		if one.WebhookURL != a.ingest+"/webhooks/webhook_"+one.Alias {
			return fmt.Errorf("%s is at %s", one.Alias, one.WebhookURL)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the installations are %v, not %v", got, want)
	}
	return nil
}
