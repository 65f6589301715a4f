package handlerstest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Scheme says how a platform proves that a request is its own, for [Refusals].
// What a scheme lacks has to be said aloud.
type Scheme struct {
	// Sample is the name of a sample that has a body; required.
	Sample string
	// Header carries the signature, or the secret itself; required.
	Header string
	// Secret is the field of the configuration with what Header is made with;
	// required.
	Secret string
	// Tolerance is how old, and how far ahead, a request may be.
	Tolerance time.Duration
	// AnyFuture says that the scheme minds only old requests, as Stripe's.
	AnyFuture bool
	// Undated says that the scheme has no timestamp, so that a request stays
	// valid for ever and only its delivery id tells it from its repetition.
	Undated bool
	// BodyUnsigned says that the scheme does not cover the body, as with a plain
	// secret in a header.
	BodyUnsigned bool
	// Also are further ways to tamper with a request, by what they are.
	Also map[string]func(r *events.Request)
}

// Refusals holds verification to what each one must refuse, in a subtest each:
// forged, changed, cut off, stale, unsigned and too large requests, and
// configurations without a secret. It also holds the scheme to what it says of
// itself: an undated one must accept a request after a year.
func Refusals(t *testing.T, k *Kit, scheme Scheme) {
	t.Helper()
	if scheme.Sample == "" || scheme.Header == "" || scheme.Secret == "" {
		t.Fatal("a scheme needs Sample, Header and Secret")
	}
	if scheme.Undated == (scheme.Tolerance > 0) {
		t.Fatal("say either how old a request may be, by Tolerance, or that the scheme is Undated")
	}
	sample := func() *events.Request { return k.With(t).Sample(scheme.Sample, handlers.SampleArgs{}) }
	if err := k.Installed.Verify(sample(), k.now()); err != nil {
		t.Fatalf("the sample itself is refused: %v", err)
	}
	if sample().Header.Get(scheme.Header) == "" || len(sample().Body) == 0 {
		t.Fatalf("the sample has no body, or no header %s", scheme.Header)
	}
	for name, tamper := range scheme.tampers(k.With(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := k.With(t).Sample(scheme.Sample, handlers.SampleArgs{})
			r.Body = bytes.Clone(r.Body)
			tamper(r)
			if err := k.Installed.Verify(r, k.now()); err == nil {
				t.Error("was accepted")
			}
		})
	}
	scheme.ages(t, k)
	scheme.configurations(t, k)
	t.Run("an oversized body", func(t *testing.T) {
		t.Parallel()
		r := k.With(t).Sample(scheme.Sample, handlers.SampleArgs{})
		r.Body = append(r.Body, bytes.Repeat([]byte(" "), maxBody)...)
		if o := k.With(t).Webhook(r); o.Refused == nil || o.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("got %d, %v", o.Status, o.Refused)
		}
	})
}

func (s Scheme) tampers(k *Kit) map[string]func(*events.Request) {
	header := func(change func(value string) string) func(*events.Request) {
		return func(r *events.Request) { r.Header.Set(s.Header, change(r.Header.Get(s.Header))) }
	}
	all := map[string]func(*events.Request){
		"no signature":            func(r *events.Request) { r.Header.Del(s.Header) },
		"an empty signature":      header(func(string) string { return "" }),
		"white space":             header(func(string) string { return " " }),
		"a flipped byte":          header(proof(flipped)),
		"half a signature":        header(proof(func(value string) string { return value[:len(value)/2] })),
		"a longer signature":      header(proof(func(value string) string { return value + value })),
		"no signature at all":     header(proof(func(string) string { return "" })),
		"bytes that are no text":  header(proof(func(string) string { return "\xff\x00\xfe" })),
		"the wrong encoding":      header(proof(reencoded)),
		"the words of a template": header(func(string) string { return "undefined" }),
		"another secret's": func(r *events.Request) {
			*r = *k.other(s.Secret).Sample(s.Sample, handlers.SampleArgs{})
		},
	}
	if !s.BodyUnsigned {
		all["a changed body"] = func(r *events.Request) { r.Body[len(r.Body)/2] ^= 1 }
		all["a truncated body"] = func(r *events.Request) { r.Body = r.Body[:len(r.Body)-1] }
		all["a longer body"] = func(r *events.Request) { r.Body = append(r.Body, ' ') }
		all["an empty body"] = func(r *events.Request) { r.Body = nil }
	}
	maps.Copy(all, s.Also)
	return all
}

// other is the kit of another installation, with another secret.
func (k *Kit) other(field string) *Kit {
	k.tb.Helper()
	other := *k
	installed, err := k.config.Integration.ConfigureAs(k.config.ConfigurationType, k.replaced(field, "b3RoZXItc2VjcmV0LW9mLW5vYm9keS1hdC1hbGw="))
	if err != nil {
		k.tb.Fatalf("with another %s: %v", field, err)
	}
	other.Installed = installed
	return &other
}

func (k *Kit) replaced(field string, value any) json.RawMessage {
	k.tb.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(k.configuration, &fields); err != nil {
		k.tb.Fatal(err)
	}
	if _, given := fields[field]; !given {
		k.tb.Fatalf("the configuration has no %s", field)
	}
	if value == nil {
		delete(fields, field)
		encoded, _ := json.Marshal(fields) // of what was JSON before
		return encoded
	}
	return with(fields, field, value)
}

func (s Scheme) ages(t *testing.T, k *Kit) {
	t.Helper()
	const year = 365 * 24 * time.Hour
	ages := map[string]time.Duration{"a stale request": s.Tolerance + time.Second}
	if !s.AnyFuture {
		ages["one from the future"] = -s.Tolerance - time.Second
	}
	if s.Undated {
		ages = map[string]time.Duration{"an undated one never goes stale": year}
	}
	for name, age := range ages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := k.With(t).Sample(s.Sample, handlers.SampleArgs{})
			if err := k.Installed.Verify(r, k.now().Add(age)); (err == nil) != s.Undated {
				t.Errorf("after %s: %v", age, err)
			}
		})
	}
}

func (s Scheme) configurations(t *testing.T, k *Kit) {
	t.Helper()
	for name, value := range map[string]any{
		"an empty secret": "", "an empty list of secrets": []string{}, "an empty secret in a list": []string{"b3RoZXI=", ""},
		"null for a secret": json.RawMessage("null"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := k.config.Integration.ConfigureAs(k.config.ConfigurationType, k.With(t).replaced(s.Secret, value)); err == nil {
				t.Error("was accepted")
			}
		})
	}
	t.Run("no secret", func(t *testing.T) {
		t.Parallel()
		without, err := k.config.Integration.ConfigureAs(k.config.ConfigurationType, k.With(t).replaced(s.Secret, nil))
		if err != nil {
			return
		}
		if without.Verify(k.With(t).Sample(s.Sample, handlers.SampleArgs{}), k.now()) == nil {
			t.Error("verified against nothing")
		}
	})
}

// encoded is what a signature is likely to be among the other words of its
// header.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_]{8,}=*`)

// proof changes the signature alone in a header such as "t=1,v1=5257a8…".
func proof(change func(string) string) func(string) string {
	return func(value string) string {
		longest := ""
		for _, one := range encoded.FindAllString(value, -1) {
			if len(one) > len(longest) {
				longest = one
			}
		}
		if longest == "" {
			return change(value)
		}
		at := strings.LastIndex(value, longest)
		return value[:at] + change(longest) + value[at+len(longest):]
	}
}

func flipped(value string) string {
	changed := []byte(value)
	middle := len(changed) / 2
	if changed[middle] == 'a' {
		changed[middle] = 'b'
	} else {
		changed[middle] = 'a'
	}
	return string(changed)
}

// reencoded writes a signature in another encoding than the platform's.
func reencoded(value string) string {
	if raw, err := hex.DecodeString(value); err == nil {
		return base64.StdEncoding.EncodeToString(raw)
	}
	if raw, err := base64.StdEncoding.DecodeString(value); err == nil {
		return hex.EncodeToString(raw)
	}
	return hex.EncodeToString([]byte(value))
}
