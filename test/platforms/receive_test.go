package platforms_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

func sample(t *testing.T, installed handlers.Installed, name string, now time.Time) *events.Request {
	t.Helper()

	r, err := installed.Sample(name, handlers.SampleArgs{ID: "0TEST1", Text: "hello", Conversation: "C0TEST1", User: "U0TEST1", Now: now})
	if err != nil {
		t.Fatal(err)
	}

	return r
}

// deliveries are the ids of what a request is stored as, nothing if it is a question about the webhook itself; not ok if it
// is refused.
func deliveries(installed handlers.Installed, r *events.Request, now time.Time) (ids []string, ok bool) {
	if installed.Verify(r, now) != nil {
		return nil, false
	}

	if _, handshake := installed.Handshake(r); handshake {
		return nil, true
	}

	parts, err := installed.Split(r)
	for _, part := range parts {
		ids = append(ids, part.ProviderID(r.Body))
	}

	return ids, err == nil
}

// bodies are ways in which a body arrives that is not what the platform sent.
func bodies() map[string]func(body []byte) []byte {
	return map[string]func(body []byte) []byte{
		"truncated by a byte": func(body []byte) []byte { return body[:len(body)-1] },
		"truncated to a half": func(body []byte) []byte { return body[:len(body)/2] },
		"empty":               func([]byte) []byte { return nil },
		"forged":              func([]byte) []byte { return []byte(`{"forged":true}`) },
		"no text":             func(body []byte) []byte { return slices.Concat([]byte{0xff, 0xfe, 0}, body) },
		"twice":               func(body []byte) []byte { return slices.Concat(body, body) },
		"in UTF-16": func(body []byte) []byte {
			var wide []byte
			for _, unit := range utf16.Encode([]rune(string(body))) {
				wide = append(wide, byte(unit), byte(unit>>8))
			}

			return wide
		},
		"a byte changed": func(body []byte) []byte {
			changed := bytes.Clone(body)
			changed[len(changed)/2] ^= 1

			return changed
		},
	}
}

// Whatever is done to a request, it is refused, or it is the delivery that it was; never another one.
func TestEveryPlatformRefusesARequestOrKnowsItAgain(t *testing.T) {
	t.Parallel()

	for platform, s := range all(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()

			installed := s.configure(t)

			for _, name := range s.definition.Samples {
				now := handlerstest.Now
				original, ok := deliveries(installed, sample(t, installed, name, now), now)
				if !ok {
					t.Errorf("%s is refused", name)
				}

				same := func(what string, r *events.Request, at time.Time) {
					if ids, ok := deliveries(installed, r, at); ok && !cmp.Equal(original, ids) {
						t.Errorf("%s, %s: was %v, is %v", name, what, original, ids)
					}
				}

				same("replayed", sample(t, installed, name, now), now)
				same("replayed later", sample(t, installed, name, now), now.Add(time.Minute))
				same("stale", sample(t, installed, name, now), now.AddDate(1, 0, 0))

				r := sample(t, installed, name, now)
				if len(r.Body) == 0 {
					continue // what is asked by its URL alone
				}

				for what, change := range bodies() {
					r := sample(t, installed, name, now)
					r.Body = change(r.Body)
					same(what, r, now)
				}
			}
		})
	}
}

// A request that was forged, by somebody who does not know the secret, is refused.
func TestEveryPlatformRefusesWhatIsForged(t *testing.T) {
	t.Parallel()

	for platform, s := range all(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()

			installed := s.configure(t)

			for _, name := range s.definition.Samples {
				if len(sample(t, installed, name, handlerstest.Now).Body) == 0 {
					continue // nothing of it is stored
				}

				for what, forge := range map[string]func(r *events.Request){
					"no headers":         func(r *events.Request) { r.Header = http.Header{} },
					"nothing that signs": func(r *events.Request) { r.Header = r.Redacted().Header },
					"a changed signature": func(r *events.Request) {
						for header := range r.Header {
							if events.SecretHeader(header) {
								value := []byte(r.Header.Get(header))
								value[len(value)*3/4] ^= 1
								r.Header.Set(header, string(value))
							}
						}
					},
					"an empty signature": func(r *events.Request) {
						for header := range r.Header {
							if events.SecretHeader(header) {
								r.Header.Set(header, "")
							}
						}
					},
				} {
					r := sample(t, installed, name, handlerstest.Now)
					forge(r)

					if installed.Verify(r, handlerstest.Now) == nil {
						t.Errorf("%s with %s is taken", name, what)
					}
				}
			}
		})
	}
}

// A platform that says how far a signed time may be off refuses what is older; one that does not cannot.
func TestEveryPlatformIsAsStrictAboutTimeAsItSays(t *testing.T) {
	t.Parallel()

	for platform, s := range all(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()

			installed := s.configure(t)

			for _, name := range s.definition.Samples {
				r := sample(t, installed, name, handlerstest.Now)
				if err := installed.Verify(r, handlerstest.Now.AddDate(1, 0, 0)); len(r.Body) > 0 && (err != nil) != (s.definition.Wire.Tolerance != "") {
					t.Errorf("%s after a year: %v, but the tolerance is %q", name, err, s.definition.Wire.Tolerance)
				}
			}
		})
	}
}

func TestEveryPlatformTellsHowItsWebhooksComeIn(t *testing.T) {
	t.Parallel()

	for platform, s := range all(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()

			if s.definition.Wire.Scheme == "" || s.definition.Wire.DedupID == "" || s.definition.Wire.OrderingKey == "" {
				t.Errorf("it lacks scheme, dedup id or ordering key: %+v", s.definition.Wire)
			}
		})
	}
}
