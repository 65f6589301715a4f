package platforms_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

func TestEveryPlatformWaitsAsLongAsItIsTold(t *testing.T) {
	t.Parallel()

	for name, room := range rooms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			kit := room.kit(t)
			kit.Script(fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "17"}, Times: 1})
			began := time.Now()

			o := kit.Send(room.hello)
			if short := 17*time.Second - o.Verdict.After; o.Verdict.Decision != handlers.Retry || short < 0 || short > time.Since(began)+time.Second {
				t.Errorf("told to wait for 17 s: %+v, %v", o.Verdict, o.Err)
			}

			if o = kit.Retry(o); o.Err != nil || o.Message.Status != client.Sent {
				t.Errorf("the second attempt: %s, %v", o.Message.Status, o.Err)
			}
		})
	}
}

func TestEveryPlatformGivesUpAtOnceWhatWillNeverBeTaken(t *testing.T) {
	t.Parallel()

	for name, room := range rooms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			kit := room.kit(t)
			kit.Script(room.permanent)

			if o := kit.Send(room.hello); o.Verdict.Decision != handlers.GiveUp || o.Message.Status != client.Failed || o.Verdict.Message == "" {
				t.Errorf("%+v after %d requests, the message is %s", o.Verdict, len(o.Requests), o.Message.Status)
			}
		})
	}
}

func TestEveryPlatformPausesWhenItsCredentialsAreRefused(t *testing.T) {
	t.Parallel()

	for name, room := range rooms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			kit := room.kit(t)
			kit.Script(room.refused)

			if o := kit.Send(room.hello); o.Verdict.Decision != handlers.Pause || len(o.Requests) != 1 || o.Verdict.Message == "" {
				t.Errorf("%+v after %d requests", o.Verdict, len(o.Requests))
			}
		})
	}
}

func TestEveryPlatformTriesAgainWhatBroke(t *testing.T) {
	t.Parallel()

	for name, room := range rooms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			kit := room.kit(t)
			for what, rule := range map[string]fake.Rule{"an error of theirs": {Status: 500, Times: 1}, "a reset": {Reset: true, Times: 1}} {
				kit.Script(rule)

				if o := kit.Send(room.hello); o.Verdict.Decision != handlers.Retry || len(o.Acks) > 0 {
					t.Errorf("%s: %+v, %d acks", what, o.Verdict, len(o.Acks))
				}
			}
		})
	}
}

// Ten thousand characters are words of which each is there once, so that they can be found in whatever a platform is sent.
// Its fake refuses what is longer than the platform takes.
func TestEveryPlatformSendsALongTextWholeAndInOrder(t *testing.T) {
	t.Parallel()

	word := regexp.MustCompile(`w\d{5}`)

	var text strings.Builder
	for i := 0; text.Len() < 10_000; i++ {
		fmt.Fprintf(&text, "w%05d ", i)
	}

	for name, room := range rooms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			kit := room.kit(t)
			room.hello.Payload = events.Text{Text: strings.TrimSpace(text.String())}

			o := kit.Send(room.hello)
			if o.Err != nil || o.Message.Status != client.Sent {
				t.Fatal(o.Err, o.Message.Status)
			}

			var arrived []string
			for _, r := range o.Requests {
				body, err := url.QueryUnescape(r.Body)
				if err != nil { // it is no form
					body = r.Body
				}

				if !r.Accepted {
					t.Errorf("%s was refused: %.100s", r.Path, r.Body)
				}

				arrived = append(arrived, word.FindAllString(body, -1)...)
			}

			if diff := cmp.Diff(word.FindAllString(text.String(), -1), arrived); diff != "" {
				t.Error(diff)
			}
		})
	}
}
