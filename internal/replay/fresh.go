package replay

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/dispatch"
)

// side is one of the two runs that are compared. A handler makes ids and reads
// the clock itself; those of two runs always differ, and mean nothing. What it
// was given means something.
type side struct {
	began  time.Time
	said   []said
	lasted time.Duration
}

// said is a text that passed between a handler and the others.
type said struct {
	text string
	own  bool // by the handler
}

func newSide(event []byte, r dispatch.Recording) *side {
	s := &side{began: r.Began, lasted: r.Took, said: []said{{text: string(event)}}}
	type timed struct {
		after time.Duration
		said
	}
	var all []timed
	for _, c := range r.Calls {
		all = append(all, timed{c.After, said{string(c.Input), true}}, timed{c.After + c.Took, said{string(c.Output), false}})
	}
	for _, e := range r.Exchanges {
		all = append(all, timed{e.After, said{e.URL + " " + e.Body, true}}, timed{e.After + e.Took, said{e.Answer, false}})
	}
	slices.SortStableFunc(all, func(a, b timed) int { return int(a.after - b.after) })
	for _, t := range all {
		s.said = append(s.said, t.said)
	}
	return s
}

// own tells whether the handler was the first to say it.
func (s *side) own(text string) bool {
	for _, one := range s.said {
		if strings.Contains(one.text, text) {
			return one.own
		}
	}
	return true // in the answer to a webhook, or in an error
}

// freshWord is what may be an id or a time.
var freshWord = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` +
	`|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?` +
	`|[0-9a-z]{10,}(?:\.\d+)?`)

var (
	uuid    = regexp.MustCompile(`^[0-9A-Fa-f]{8}-`)
	digits  = regexp.MustCompile(`\d`)
	letters = regexp.MustCompile(`[A-Za-z]`)
)

// skeleton is a text without the ids and times that its handler made, and how
// long after the run's beginning those times are.
func (s *side) skeleton(text string) (bare string, times []time.Duration) {
	bare = freshWord.ReplaceAllStringFunc(text, func(word string) string {
		if at, ok := timeIn(word); ok {
			if !s.own(word) {
				return word
			}
			times = append(times, at.Sub(s.began))
			return "\x00time"
		}
		made := uuid.MatchString(word) || len(word) >= 16 && letters.MatchString(word) && digits.MatchString(word) ||
			len(word) >= 20 && strings.ToUpper(word) == word && letters.MatchString(word)
		if !made || !s.own(word) {
			return word
		}
		return "\x00id" + strconv.Itoa(len(word))
	})
	return bare, times
}

// timeIn reads a time as it is usually written: as text, or as seconds or parts
// of seconds since 1970.
func timeIn(word string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, word); err == nil {
			return at, true
		}
	}
	whole, _, _ := strings.Cut(word, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	switch len(whole) {
	case 10:
		return time.Unix(n, 0), true
	case 13:
		return time.UnixMilli(n), true
	case 16:
		return time.UnixMicro(n), true
	case 19:
		return time.Unix(0, n), true
	}
	return time.Time{}, false
}

// slack is how far two clocks may be apart, on top of how long the runs took.
const slack = time.Minute

// versus compares what two runs said.
type versus struct{ then, now *side }

// same tells texts that differ in nothing but in what is made fresh.
func (v versus) same(then, now string) bool {
	if then == now {
		return true
	}
	bareThen, timesThen := v.then.skeleton(then)
	bareNow, timesNow := v.now.skeleton(now)
	if bareThen != bareNow || len(timesThen) != len(timesNow) {
		return false
	}
	for i := range timesThen {
		if (timesThen[i] - timesNow[i]).Abs() > slack+v.then.lasted+v.now.lasted {
			return false
		}
	}
	return true
}
