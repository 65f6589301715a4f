package signature_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers/signature"
)

// pair is a scheme with what signs, what verifies, and another secret of the same kind.
type pair struct {
	name   string
	scheme signature.Scheme
	sign   string
	verify string
	other  string
}

// signs tells whether the scheme signs the body, and fresh whether it refuses what is an hour old.
func (p pair) signs() bool { return p.name != "telegram" && p.name != "bearer" }

func (p pair) fresh() bool {
	return strings.ContainsAny(p.name, "0123456789") || p.name == "slack" || p.name == "linear" || p.name == "stripe" || p.name == "standard-webhooks"
}

func pairs() (out []pair) {
	for _, name := range signature.Names() {
		scheme, _ := signature.Named(name)
		p := pair{name: name, scheme: scheme, sign: "towpath-secret-one", other: "towpath-secret-two"}
		switch name {
		case "discord":
			p.sign, p.verify, p.other = hex.EncodeToString(privateKey("one")), publicHex("one"), publicHex("two")
		case "standard-webhooks":
			p.sign, p.other = symmetric, rotated
		case "teams-outgoing":
			p.sign, p.other = b64([]byte(p.sign)), b64([]byte(p.other))
		}
		out = append(out, p)
	}
	v1a := pair{name: "standard-webhooks v1a", scheme: signature.StandardWebhooks{}, verify: publicB64("one"), other: publicB64("two")}
	for _, key := range [][]byte{privateKey("one"), privateKey("one").Seed()} {
		v1a.sign = "whsk_" + b64(key)
		out = append(out, v1a)
	}
	out = append(out, pair{name: "bearer", scheme: signature.SharedSecret{Header: "Authorization", Prefix: "Bearer "}, sign: "one", other: "two"})
	for _, algorithm := range []signature.Algorithm{signature.SHA1, signature.SHA256, signature.SHA512} {
		for _, list := range []signature.List{"", signature.Pairs, signature.Versions} {
			for i, unit := range []signature.Unit{signature.Seconds, signature.Milliseconds, signature.RFC3339} {
				spec := signature.Spec{
					Algorithm: algorithm, Encoding: []signature.Encoding{"", signature.Hex, signature.Base64}[i], Header: "X-Sig", List: list,
					Template: "{id}|{url}|{timestamp}|{body}", IDHeader: "X-Id",
					Timestamp: signature.Timestamp{Header: "X-Time", Unit: unit},
					Tolerance: signature.Tolerance{Past: signature.Duration(time.Minute)},
				}
				if list != "" {
					spec.Version = "v7"
				}
				if list == signature.Pairs {
					spec.Timestamp = signature.Timestamp{Field: "when", Unit: unit}
				}
				out = append(out, pair{name: fmt.Sprintf("generic %s %q %s", algorithm, list, unit), scheme: spec, sign: "one", other: "two"})
			}
		}
	}
	for i := range out {
		if out[i].verify == "" {
			out[i].verify = out[i].sign
		}
	}
	return out
}

// message is a random one; half of them are forms, which only Twilio tells apart.
func message(random *rand.Rand) signature.Message {
	letters := []string{"a", "B", "é", "'", "&", "=", "%", " ", "+", "\\", "{", "}", "\"", "1", ".", "|", "\n"}
	word := func() string {
		var out strings.Builder
		for range 1 + random.IntN(12) {
			out.WriteString(letters[random.IntN(len(letters))])
		}
		return out.String()
	}
	msg := signature.Message{Header: http.Header{}, URL: "https://h.example.com:8443/w/" + url.PathEscape(word()) + "?q=" + url.QueryEscape(word()) + "&r='"}
	if random.IntN(2) == 0 {
		msg.Header.Set("Content-Type", "application/json")
		msg.Body = fmt.Appendf(nil, `{"a":%q, "webhookTimestamp" : 1 ,"z":[{},%q]}`, "x"+hex.EncodeToString([]byte(word())), "y")
		return msg
	}
	form := url.Values{}
	for range 1 + random.IntN(5) {
		form.Add(word(), word())
	}
	msg.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	msg.Body = []byte(form.Encode())
	return msg
}

func TestWhatIsSignedVerifiesAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, p := range pairs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2))
			for range 60 {
				msg := message(random)
				if p.name == "linear" && msg.Body[0] != '{' {
					continue
				}
				if err := p.scheme.Sign(&msg, p.sign, noon); err != nil {
					t.Fatalf("sign %q: %v", msg.Body, err)
				}
				try := func(what, want, secret string, msg signature.Message, now time.Time) {
					t.Helper()
					if got := reason(t, signature.Verify(p.scheme, []string{secret}, msg, now)); got != want {
						t.Fatalf("%s: got %s, want %s\nurl  %s\nbody %s\n%v", what, got, want, msg.URL, msg.Body, msg.Header)
					}
				}
				try("as signed", valid, p.verify, msg, noon)
				try("another secret", "mismatch", p.other, msg, noon)
				if p.fresh() {
					try("an hour later", "stale", p.verify, msg, noon.Add(time.Hour))
				}
				again := msg
				again.Header = msg.Header.Clone()
				if err := p.scheme.Sign(&again, p.sign, noon); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(msg, again); diff != "" && p.name != "linear" {
					t.Fatalf("signed twice (-once +twice):\n%s", diff)
				}
				if p.signs() && p.name != "twilio" { // whose form hides some changes, see its vectors
					changed := msg
					changed.Body = append([]byte{}, msg.Body...)
					changed.Body[random.IntN(len(changed.Body))] ^= 1
					try("one bit of the body changed", "mismatch", p.verify, changed, noon)
				}
			}
		})
	}
}

func TestSigningAgainMovesTheTime(t *testing.T) {
	t.Parallel()
	later := noon.AddDate(0, 0, 1)
	for _, p := range pairs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			msg := signature.Message{URL: "https://h.example.com/w", Body: []byte(`{"webhookTimestamp":"1","a":1}`)}
			for _, now := range []time.Time{noon, later} {
				if err := p.scheme.Sign(&msg, p.sign, now); err != nil {
					t.Fatal(err)
				}
				if err := signature.Verify(p.scheme, []string{p.verify}, msg, now); err != nil {
					t.Errorf("at %s: %v", now, err)
				}
			}
		})
	}
}

func TestSigningChangesOnlyTheTimeOfTheBody(t *testing.T) {
	t.Parallel()
	msg := signature.Message{Body: []byte("{\"a\" : [1, 2],\n \"webhookTimestamp\":17 , \"b\":{\"webhookTimestamp\":3}}")}
	if err := signature.Linear.Sign(&msg, "one", noon); err != nil {
		t.Fatal(err)
	}
	want := "{\"a\" : [1, 2],\n \"webhookTimestamp\":1772366400000 , \"b\":{\"webhookTimestamp\":3}}"
	if diff := cmp.Diff(want, string(msg.Body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeSignedIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scheme signature.Scheme
		secret string
		msg    signature.Message
	}{
		"linear without a time in the body": {signature.Linear, "one", signature.Message{Body: []byte(`{}`)}},
		"shopify without a body":            {signature.Shopify, "one", signature.Message{}},
		"twilio without URL":                {signature.Twilio{}, "one", signature.Message{Body: []byte("a=b")}},
		"discord with a public key's half":  {signature.Discord, "abcd", signature.Message{}},
		"a public key":                      {signature.StandardWebhooks{}, publicB64("one"), signature.Message{}},
		"a secret that is too short":        {signature.StandardWebhooks{}, "whsec_AAAA", signature.Message{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := test.scheme.Sign(&test.msg, test.secret, noon); err == nil {
				t.Errorf("signed: %v", test.msg.Header)
			}
		})
	}
}
