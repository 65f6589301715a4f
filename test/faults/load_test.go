package faults_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// words are one message of a conversation.
type words struct {
	channel string
	number  int
}

// String is the text that is said.
func (w words) String() string { return fmt.Sprintf("%s says %d", w.channel, w.number) }

// parse is the reverse of String.
func parse(text string) (words, error) {
	var w words
	_, err := fmt.Sscanf(text, "%s says %d", &w.channel, &w.number)
	return w, err
}

func wordsOf(payload json.RawMessage) (words, error) {
	var said struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return words{}, err
	}
	return parse(said.Text)
}

// load is people writing in Slack: in every conversation one message after the
// other, the next once the one before was accepted. What was not accepted is
// sent again until it is, as a platform does.
type load struct {
	*plant
	alias  string
	people sync.WaitGroup
	enough chan struct{} // closed when nobody is to begin another message

	mu       sync.Mutex
	accepted map[string][]string  // texts by channel, in order
	asked    map[string]time.Time // when it was first sent, by text
	refused  int                  // answers of 503
	broken   int                  // requests without an answer
	slowest  time.Duration        // answer
	faults   []error
}

func (p *plant) load(alias string) *load {
	return &load{
		plant: p, alias: alias, enough: make(chan struct{}),
		accepted: map[string][]string{}, asked: map[string]time.Time{},
	}
}

// channel is where the n-th conversation of a load takes place.
func (l *load) channel(n int) string { return fmt.Sprintf("%s%04d", l.alias, n) }

// write lets people write, each message a pace after the one before, until
// they are told to stop or have written so many, when each is not 0. Number is
// that of their first message.
func (l *load) write(people, each, number int, pace time.Duration) {
	for n := range people {
		l.people.Go(func() {
			next := time.NewTimer(pace * time.Duration(n) / time.Duration(people))
			defer next.Stop()
			for said := 0; each == 0 || said < each; said++ {
				select {
				case <-l.enough:
					return
				case <-next.C:
				}
				next.Reset(pace)
				l.say(words{l.channel(n), number + said})
			}
		})
	}
}

// stop lets everybody finish what they have begun.
func (l *load) stop() {
	l.Helper()
	close(l.enough)
	l.finish()
}

// finish waits until everything that was begun is accepted.
func (l *load) finish() {
	l.Helper()
	l.people.Wait()
	if len(l.faults) > 0 {
		l.Fatal(errors.Join(l.faults[:min(5, len(l.faults))]...))
	}
}

// say sends one message until it is accepted, and notes that it was.
func (l *load) say(w words) {
	l.mu.Lock()
	l.asked[w.String()] = time.Now()
	l.mu.Unlock()
	err := l.deliver(w)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.faults = append(l.faults, fmt.Errorf("%s: %w", w, err))
		return
	}
	l.accepted[w.channel] = append(l.accepted[w.channel], w.String())
}

// patience is how long somebody goes on sending one message.
const patience = 20 * time.Minute

// deliver posts one webhook until it is accepted.
func (l *load) deliver(w words) error {
	sample, err := l.installed.Sample("message", handlers.SampleArgs{
		ID: fmt.Sprintf("%sx%d", w.channel, w.number), Text: w.String(), Conversation: w.channel, User: "U" + w.channel, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	message := signature.Message{Header: http.Header{"Content-Type": {"application/json"}}, Body: sample.Body}
	again := time.NewTimer(0)
	defer again.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); again.Reset(time.Second) {
		<-again.C
		// The body stays the same, whenever it is signed.
		if err := signature.Slack.Sign(&message, secret, time.Now()); err != nil {
			return err
		}
		if accepted, err := l.post(message); accepted || err != nil {
			return err
		}
	}
	return errors.New("it was not accepted for too long")
}

// post sends a webhook once. It reports false for what has to be sent again.
func (l *load) post(message signature.Message) (accepted bool, err error) {
	request, err := http.NewRequestWithContext(l.Context(), http.MethodPost, l.ingest+"/webhooks/webhook_"+l.alias, bytes.NewReader(message.Body))
	if err != nil {
		return false, err
	}
	request.Header = message.Header.Clone()
	began := time.Now()
	answer, err := browser.Do(request)
	took := time.Since(began)
	if err != nil {
		l.note(func() { l.broken++ })
		return false, l.Context().Err()
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body) // the status says it
	l.note(func() { l.slowest = max(l.slowest, took) })
	switch {
	case answer.StatusCode == http.StatusOK:
		return true, nil
	case answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") != "":
		l.note(func() { l.refused++ })
		return false, nil
	}
	return false, fmt.Errorf("ingest answers %d %q", answer.StatusCode, body)
}

func (l *load) note(what func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what()
}

// count is how many messages are accepted by now.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, texts := range l.accepted {
		n += len(texts)
	}
	return n
}
