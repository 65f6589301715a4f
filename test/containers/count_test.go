package containers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
)

// reply is a message that the platform took.
type reply struct {
	word
	channel string
}

// count holds what was seen of each webhook, from both ends.
type count struct {
	accepted map[word]bool
	stored   int
	replies  []reply                   // in the platform's order
	handled  map[word]int              // incoming messages, as the API lists them
	answers  map[word][]client.Message // outgoing ones
}

// list asks the API for all messages.
func (c *count) list(ctx context.Context, bot *client.Client) error {
	c.handled, c.answers = map[word]int{}, map[word][]client.Message{}

	for in := (client.ListMessagesInput{}); ; {
		page, err := bot.ListMessages(ctx, in)
		if err != nil {
			return fmt.Errorf("list messages: %w", err)
		}

		for _, m := range page.Messages {
			var payload struct {
				Text string `json:"text"`
			}
			if err := json.Unmarshal(m.Payload, &payload); err != nil {
				return fmt.Errorf("decode message %s: %w", m.ID, err)
			}

			w, ok := parse(payload.Text)

			switch {
			case !ok:
			case m.Direction == client.Incoming:
				c.handled[w]++
			default:
				c.answers[w] = append(c.answers[w], m)
			}
		}

		if page.Meta.NextToken == "" {
			return nil
		}

		in.NextToken = page.Meta.NextToken
	}
}

// complete tells whether each accepted webhook has come to its end.
func (c *count) complete() bool {
	t := c.tally()

	return t.Lost == 0 && t.Acked >= t.Accepted
}

// tally is the sum of a run. All but Ambiguous is held against what must be.
type tally struct {
	Accepted, Stored, Handled, Sent, Acked int
	Lost, Doubled, Misordered              int
	// Ambiguous counts messages that may have been sent again, because nobody knew what had become of the first try.
	Ambiguous int
}

func (c *count) tally() tally {
	sum := tally{Accepted: len(c.accepted), Stored: c.stored, Handled: len(c.handled), Sent: len(c.replies)}
	sends, newest := map[word]int{}, map[int]int{}

	for _, r := range c.replies {
		sends[r.word]++

		switch {
		case r.channel != r.word.channel():
			sum.Misordered++ // in another conversation
		case sends[r.word] > 1: // counted below
		case r.number < newest[r.conversation]:
			sum.Misordered++
		default:
			newest[r.conversation] = r.number
		}
	}

	for w := range c.accepted {
		acked, again := 0, 0

		for _, m := range c.answers[w] {
			if m.AckedAt != nil {
				acked++
			}

			again += m.Ambiguous
		}

		sum.Acked += acked

		if again > 0 {
			sum.Ambiguous++
		}

		if c.handled[w] == 0 || sends[w] == 0 || acked == 0 {
			sum.Lost++
		}

		if c.handled[w] > 1 || len(c.answers[w]) > 1 || sends[w] > 1+again {
			sum.Doubled++
		}
	}

	return sum
}

// check prints the sum and holds it against what must be.
func (sum tally) check(t *testing.T) {
	t.Helper()

	t.Logf("accepted=%d stored=%d handled=%d sent=%d acked=%d lost=%d doubled=%d misordered=%d ambiguous=%d",
		sum.Accepted, sum.Stored, sum.Handled, sum.Sent, sum.Acked, sum.Lost, sum.Doubled, sum.Misordered, sum.Ambiguous)

	const all = conversations * perPlace

	want := tally{Accepted: all, Stored: all, Handled: all, Acked: all, Sent: sum.Sent, Ambiguous: sum.Ambiguous}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}

	if sum.Sent < all || sum.Sent > all+sum.Ambiguous {
		t.Errorf("%d sends, of %d messages and %d ambiguous ones", sum.Sent, all, sum.Ambiguous)
	}
}
