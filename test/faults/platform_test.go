package faults_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

// browser has a limit, so that no test hangs on a process that does.
var browser = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// platform is Slack. It takes messages until it is told otherwise.
type platform struct {
	*fake.Server
	url string // base URL

	mu       sync.Mutex
	poisoned string // the channel whose messages are answered with 500
	reads    map[string]*reading
}

// slowness is how long the platform takes to answer after it took a message.
const slowness = 30 * time.Millisecond

// reading is how far the sends of one installation are read.
type reading struct {
	next string
	all  []send
}

// send is a message that the platform took.
type send struct {
	at            time.Time
	channel, text string
}

func play(t *testing.T) *platform {
	t.Helper()
	p := &platform{Server: fake.New(), reads: map[string]*reading{}}
	p.Mount("/slack", p.poison(slack.Integration.NewFake()))
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	t.Cleanup(p.Close)
	p.url = server.URL
	return p
}

// poison stands before Slack and fails for one channel.
func (p *platform) poison(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		poisoned := p.poisoned
		p.mu.Unlock()
		if form, err := url.ParseQuery(string(body)); err == nil && poisoned != "" && form.Get("channel") == poisoned {
			http.Error(w, "poisoned", http.StatusInternalServerError)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		api.ServeHTTP(w, r)
		// It has made up its mind, and who asked may die before it hears.
		<-time.After(slowness)
	})
}

// setPoison chooses the channel whose messages are answered with 500, or none.
func (p *platform) setPoison(channel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.poisoned = channel
}

// script makes the platform misbehave.
func (p *platform) script(t *testing.T, rules ...fake.Rule) {
	t.Helper()
	if err := p.Script(rules...); err != nil {
		t.Fatal(err)
	}
}

// tenth makes a tenth of all sends fail, in every way there is: some before
// the platform took them, some after, when nobody can know.
func (s *scenario) tenth() []fake.Rule {
	const path = "/slack/slack/chat.postMessage"
	rules := []fake.Rule{
		{Probability: 0.03, Status: http.StatusTooManyRequests, Headers: map[string]string{"Retry-After": "1"}},
		{Probability: 0.03, Status: http.StatusInternalServerError},
		{Probability: 0.015, Reset: true},
		{Probability: 0.01, Reset: true, AfterAccept: true},
		{Probability: 0.01, Hang: true},
		{Probability: 0.005, Hang: true, AfterAccept: true},
	}
	for i := range rules {
		rules[i].Path, rules[i].Seed = path, s.dice.Uint64()
	}
	return rules
}

// sends returns what the platform took of an installation, in order of
// arrival, up to the first message that it has not answered yet.
func (p *platform) sends(t *testing.T, alias string) []send {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	read, ok := p.reads[alias]
	if !ok {
		read = &reading{next: "0"}
		p.reads[alias] = read
	}
	query := url.Values{"path": {"/slack/" + alias + "/chat.postMessage"}, "settled": {"true"}, "since": {read.next}}
	answer, err := browser.Get(p.url + "/_requests?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var fresh []fake.Request
	if err := json.NewDecoder(answer.Body).Decode(&fresh); err != nil {
		t.Fatal(err)
	}
	read.next = answer.Header.Get(fake.NextHeader)
	for _, r := range fresh {
		form, err := url.ParseQuery(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.Accepted {
			read.all = append(read.all, send{r.Time, form.Get("channel"), form.Get("text")})
		}
	}
	return read.all
}
