package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// browser has a limit, so that no test hangs on a process that does.
var browser = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

// answer is what came back of a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func ask(method, target string, header http.Header, body []byte) (answer, error) {
	request, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if header != nil {
		request.Header = header
	}
	response, err := browser.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(content)}, err
}

func get(t *testing.T, target string) answer {
	t.Helper()
	a, err := ask(http.MethodGet, target, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// answers returns an error unless the target answers with the status.
func answers(target string, status int) error {
	a, err := ask(http.MethodGet, target, nil, nil)
	if err == nil && a.status != status {
		err = fmt.Errorf("%s answers %d: %s", target, a.status, a.body)
	}
	return err
}

// platform is a fake of the platforms, somewhere.
type platform string

// requests returns what was sent to paths that begin with path, and settled.
func (p platform) requests(t *testing.T, path string) []fake.Request {
	t.Helper()
	a := get(t, string(p)+"/_requests?settled=true&path="+url.QueryEscape(path))
	var all []fake.Request
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return all
}

// script makes the platform misbehave.
func (p platform) script(t *testing.T, rules string) {
	t.Helper()
	a, err := ask(http.MethodPost, string(p)+"/_script", nil, []byte(rules))
	if err != nil || a.status != http.StatusNoContent {
		t.Fatal(err, a)
	}
}

const postMessage = "/slack/api/chat.postMessage"

// posted are the messages that Slack took, in order.
func (p platform) posted(t *testing.T) []url.Values {
	t.Helper()
	var all []url.Values
	for _, r := range p.requests(t, postMessage) {
		form, err := url.ParseQuery(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.Accepted {
			all = append(all, form)
		}
	}
	return all
}

// bot is a client as any bot would use it.
func bot(api, token string) *client.Client {
	return client.New(&client.HTTP{BaseURL: api, Token: token, Client: browser}, client.Caller{BotID: "demo"})
}

// messages returns all messages of a bot.
func messages(t *testing.T, c *client.Client) []client.Message {
	t.Helper()
	var all []client.Message
	for next := ""; ; {
		page, err := c.ListMessages(t.Context(), client.ListMessagesInput{NextToken: next})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Messages...)
		if next = page.Meta.NextToken; next == "" {
			return all
		}
	}
}

// configure puts a configuration into an integration, to sign samples with.
func configure(t *testing.T, integration handlers.Registrable, configuration string) handlers.Installed {
	t.Helper()
	installed, err := integration.Configure(json.RawMessage(configuration))
	if err != nil {
		t.Fatal(err)
	}
	return installed
}

// send posts a request as a platform does.
func send(target string, r *events.Request) (answer, error) {
	return ask(r.Method, target, r.Header, r.Body)
}

// wantAll fails unless every text is in the whole.
func wantAll(t *testing.T, whole string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(whole, text) {
			t.Errorf("%q is missing in:\n%s", text, whole)
		}
	}
}
