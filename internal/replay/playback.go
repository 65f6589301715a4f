package replay

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
)

// Source tells where an answer came from that a handler was given in a replay.
type Source string

// The sources. What is read from the recording needs no mention.
const (
	Recorded    Source = ""
	Similar     Source = "not asked like this then: answered as the next one of its kind was"
	MadeUp      Source = "held back: not done then, its answer is made up"
	Live        Source = "read from the store as it is now"
	NotRecorded Source = "not recorded then"
)

// playback answers a handler's calls and requests from what was recorded. It
// reaches nobody.
type playback struct {
	hide *strings.Replacer
	// reads answers reads of which there is no recording; none are when nil.
	reads client.Backend
	now   func() time.Time

	mu        sync.Mutex
	calls     []*played[dispatch.Call]
	exchanges []*played[dispatch.Exchange]
	made      map[string]json.RawMessage // entities that are made up, by id
	notes     map[string][]Note          // by what was asked
}

// played is something recorded, and whether it was an answer already: to the
// same question, or to another one.
type played[T any] struct {
	of          T
	same, other bool
}

func newPlayback(r dispatch.Recording, secrets []string, reads client.Backend, now func() time.Time) *playback {
	var pairs []string
	for _, secret := range secrets {
		pairs = append(pairs, secret, "[secret]")
	}
	p := &playback{
		hide: strings.NewReplacer(pairs...), reads: reads, now: now,
		made: map[string]json.RawMessage{}, notes: map[string][]Note{},
	}
	for _, c := range r.Calls {
		p.calls = append(p.calls, &played[dispatch.Call]{of: c})
	}
	for _, e := range r.Exchanges {
		p.exchanges = append(p.exchanges, &played[dispatch.Exchange]{of: e})
	}
	return p
}

// choose finds what answers a question: what the same one was answered, each
// once and in order; of what may be asked again, also what it was answered
// last; or else the next answer to another question of its kind.
func choose[T any](all []*played[T], again bool, same, alike func(T) bool) (chosen *T, source Source) {
	var last *T
	for _, p := range all {
		if !same(p.of) {
			continue
		}
		if !p.same {
			p.same = true
			return &p.of, Recorded
		}
		last = &p.of
	}
	if last != nil && again {
		return last, Recorded
	}
	for _, p := range all {
		if !p.same && !p.other && alike(p.of) {
			p.other = true
			return &p.of, Similar
		}
	}
	return nil, NotRecorded
}

// Do implements client.Backend.
func (p *playback) Do(ctx context.Context, call client.Call, in, out any) error {
	operation := call.Operation
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	input := p.hide.Replace(string(data))
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := operation.Name + " " + input
	recorded, source := choose(p.calls, !operation.Effect,
		func(c dispatch.Call) bool { return c.Operation == operation.Name && sameJSON(string(c.Input), input) },
		func(c dispatch.Call) bool { return c.Operation == operation.Name })
	line := callerLine()
	defer func() { p.notes[asked] = append(p.notes[asked], Note{source, line}) }()
	switch {
	case !operation.Effect && source != Recorded && p.found([]byte(input), out):
		source = MadeUp
		return nil
	case recorded != nil && recorded.Error == nil && (source == Recorded || !operation.Effect):
		return json.Unmarshal(recorded.Output, out)
	case recorded != nil && recorded.Error != nil && source == Recorded:
		return recorded.Error
	case operation.Effect:
		var like json.RawMessage
		if recorded != nil {
			like = recorded.Output
		}
		if len(like) == 0 { // also where it was refused then
			source = MadeUp
		}
		return p.makeUp(call, []byte(input), like, out)
	case recorded != nil:
		return recorded.Error
	case p.reads != nil:
		source = Live
		return p.reads.Do(ctx, call, in, out)
	default:
		return client.NewError(client.Internal, "%s: %s: the replay has no answer to %s", operation.Name, NotRecorded, input)
	}
}

// Note tells of a question where its answer came from, and which line of the
// handler's asked it.
type Note struct {
	Source Source `json:"source,omitempty"`
	Line   string `json:"line,omitempty"` // "orders.go:57"
}

// noteOn returns the note on a question, of equal ones in their order.
func (p *playback) noteOn(asked string) Note {
	all := p.notes[asked]
	if len(all) == 0 {
		return Note{}
	}
	p.notes[asked] = all[1:]
	return all[0]
}

// version is an integration's id, which is another one in each version of it.
var version = regexp.MustCompile(`"intver_[0-9A-Z]{26}"`)

// sameJSON tells whether a handler asked the same, in whatever version.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	a, b = version.ReplaceAllString(a, `"intver"`), version.ReplaceAllString(b, `"intver"`)
	return string(canonical([]byte(a))) == string(canonical([]byte(b)))
}

// canonical writes JSON with its keys in order; what is none stays as it is.
func canonical(data []byte) []byte {
	value, err := decodeJSON(data)
	if err != nil {
		return data
	}
	written, err := json.Marshal(value)
	if err != nil {
		return data
	}
	return written
}

var errNoJSON = errors.New("more than one JSON value")

// decodeJSON reads one value, numbers digit by digit.
func decodeJSON(data []byte) (value any, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errNoJSON
	}
	return value, nil
}
