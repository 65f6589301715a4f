package signature_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers/signature"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// noon is when every own vector was signed.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sample is a scheme with what is needed to sign by hand, with the crypto packages alone, so that the vectors do not
// rest on the code they try.
type sample struct {
	name   string
	spec   *signature.Spec
	secret string // to verify
	other  string // another of the same kind
	url    string
	form   bool
	body   string
	header string // of the signature
	stamp  string // header of the timestamp
	at     string // the time as sent
	prefix string
	past   time.Duration
	future time.Duration
	sign   func(s sample, secret string, body []byte) string // the header's value
}

func mac(algorithm func() hash.Hash, key, signed string) []byte {
	h := hmac.New(algorithm, []byte(key))
	h.Write([]byte(signed))
	return h.Sum(nil)
}

func hexMAC(algorithm func() hash.Hash) func(sample, string, []byte) string {
	return func(s sample, secret string, body []byte) string {
		return s.prefix + hex.EncodeToString(mac(algorithm, secret, string(body)))
	}
}

func b64(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// privateKey belongs to a name; the public key is what a verifier is given.
func privateKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("towpath test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicHex(name string) string { return hex.EncodeToString(privateKey(name)[ed25519.SeedSize:]) }
func publicB64(name string) string { return "whpk_" + b64(privateKey(name)[ed25519.SeedSize:]) }

func byPublicKey(public string) ed25519.PrivateKey {
	for _, name := range []string{"one", "two"} {
		if public == publicHex(name) || public == publicB64(name) {
			return privateKey(name)
		}
	}
	return nil
}

var (
	unix      = fmt.Sprint(noon.Unix())
	symmetric = "whsec_" + b64([]byte("towpath-standard-webhooks-one"))
	rotated   = "whsec_" + b64([]byte("towpath-standard-webhooks-two"))
)

const minutes5 = 5 * time.Minute

var samples = []sample{
	{
		name: "slack", secret: "towpath-slack-one", other: "towpath-slack-two", header: "X-Slack-Signature", prefix: "v0=",
		stamp: "X-Slack-Request-Timestamp", at: unix, past: minutes5, future: minutes5, body: `{"type":"event_callback","event_id":"Ev1"}`,
		sign: func(s sample, secret string, body []byte) string {
			return "v0=" + hex.EncodeToString(mac(sha256.New, secret, "v0:"+s.at+":"+string(body)))
		},
	}, {
		name: "github", secret: "towpath-github-one", other: "towpath-github-two", header: "X-Hub-Signature-256", prefix: "sha256=",
		body: `{"zen":"Half measures are as bad as nothing at all."}`, sign: hexMAC(sha256.New),
	}, {
		name: "whatsapp", secret: "towpath-meta-one", other: "towpath-meta-two", header: "X-Hub-Signature-256", prefix: "sha256=",
		body: `{"object":"whatsapp_business_account","text":"\u00e9t\u00e9"}`, sign: hexMAC(sha256.New),
	}, {
		name: "notion", secret: "towpath-notion-one", other: "towpath-notion-two", header: "X-Notion-Signature", prefix: "sha256=",
		body: `{"id":"1","type":"page.created"}`, sign: hexMAC(sha256.New),
	}, {
		name: "intercom", secret: "towpath-intercom-one", other: "towpath-intercom-two", header: "X-Hub-Signature", prefix: "sha1=",
		body: `{"topic":"ping"}`, sign: hexMAC(sha1.New),
	}, {
		name: "linear", secret: "towpath-linear-one", other: "towpath-linear-two", header: "Linear-Signature", past: time.Minute, future: time.Minute,
		body: fmt.Sprintf(`{"action":"create","data":{"webhookTimestamp":1},"webhookTimestamp":%d}`, noon.UnixMilli()), sign: hexMAC(sha256.New),
	}, {
		name: "stripe", secret: "whsec_towpath-stripe-one", other: "whsec_towpath-stripe-two", header: "Stripe-Signature",
		at: unix, past: minutes5, body: `{"id":"evt_1","object":"event"}`,
		sign: func(s sample, secret string, body []byte) string {
			return "t=" + s.at + ",v1=" + hex.EncodeToString(mac(sha256.New, secret, s.at+"."+string(body)))
		},
	}, {
		name: "zendesk", secret: "towpath-zendesk-one==", other: "towpath-zendesk-two==", header: "X-Zendesk-Webhook-Signature",
		stamp: "X-Zendesk-Webhook-Signature-Timestamp", at: noon.Format(time.RFC3339), body: `{"type":"zen:event-type:ticket.created"}`,
		sign: func(s sample, secret string, body []byte) string {
			return b64(mac(sha256.New, secret, s.at+string(body)))
		},
	}, {
		name: "shopify", secret: "towpath-shopify-one", other: "towpath-shopify-two", header: "X-Shopify-Hmac-Sha256",
		body: `{"id":820982911946154508}`,
		sign: func(_ sample, secret string, body []byte) string { return b64(mac(sha256.New, secret, string(body))) },
	}, {
		name: "teams-outgoing", secret: b64([]byte("towpath-teams-one")), other: b64([]byte("towpath-teams-two")), header: "Authorization",
		prefix: "HMAC ", body: `{"type":"message","text":"hi"}`,
		sign: func(_ sample, secret string, body []byte) string {
			key, _ := base64.StdEncoding.DecodeString(secret)
			return "HMAC " + b64(mac(sha256.New, string(key), string(body)))
		},
	}, {
		name: "discord", secret: publicHex("one"), other: publicHex("two"), header: "X-Signature-Ed25519",
		stamp: "X-Signature-Timestamp", at: unix, body: `{"id":"1","type":1}`,
		sign: func(s sample, secret string, body []byte) string {
			return hex.EncodeToString(ed25519.Sign(byPublicKey(secret), []byte(s.at+string(body))))
		},
	}, {
		name: "twilio", secret: "towpath-twilio-one", other: "towpath-twilio-two", header: "X-Twilio-Signature",
		url: "https://hooks.example.com/webhooks/webhook_1?a=b", form: true, body: "To=%2B1555&Body=it%27s&Media=b&Media=a&Media=b",
		sign: func(s sample, secret string, body []byte) string {
			// Written out for the one body above, and for it with another recipient.
			to := strings.ReplaceAll(strings.TrimPrefix(strings.Split(string(body), "&")[0], "To="), "%2B", "+")
			return b64(mac(sha1.New, secret, s.url+"Bodyit'sMediaaMediabTo"+to))
		},
	}, {
		name: "standard-webhooks", secret: symmetric, other: rotated, header: "Webhook-Signature",
		stamp: "Webhook-Timestamp", at: unix, past: minutes5, future: minutes5, body: `{"type":"invoice.paid"}`,
		sign: func(s sample, secret string, body []byte) string {
			key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			return "v1," + b64(mac(sha256.New, string(key), "msg_1."+s.at+"."+string(body)))
		},
	}, {
		name: "standard-webhooks", secret: publicB64("one"), other: publicB64("two"), header: "Webhook-Signature",
		stamp: "Webhook-Timestamp", at: unix, past: minutes5, future: minutes5, body: `{"type":"invoice.voided"}`,
		sign: func(s sample, secret string, body []byte) string {
			return "v1a," + b64(ed25519.Sign(byPublicKey(secret), []byte("msg_1."+s.at+"."+string(body))))
		},
	}, {
		name: "generic sha512", secret: hex.EncodeToString([]byte("towpath-generic-one")), other: hex.EncodeToString([]byte("towpath-generic-two")),
		header: "X-Signature", prefix: "sig:", stamp: "X-Time", at: fmt.Sprint(noon.UnixMilli()), past: time.Minute, future: time.Second,
		url: "https://hooks.example.com/webhooks/webhook_2", body: `{"i":1}`,
		spec: &signature.Spec{
			Algorithm: signature.SHA512, Header: "X-Signature", Prefix: "sig:", Template: "{url}|{timestamp}|{body}",
			Timestamp: signature.Timestamp{Header: "X-Time", Unit: signature.Milliseconds},
			Tolerance: signature.Tolerance{Past: signature.Duration(time.Minute), Future: signature.Duration(time.Second)},
			Key:       signature.Key{Encoding: signature.Hex},
		},
		sign: func(s sample, secret string, body []byte) string {
			key, _ := hex.DecodeString(secret)
			return "sig:" + hex.EncodeToString(mac(sha512.New, string(key), s.url+"|"+s.at+"|"+string(body)))
		},
	},
}

// vector is what the platform sends, signed with the given secret, to somebody who knows the sample's.
func (s sample) vector(id, secret string) vector {
	v := vector{
		ID: strings.ReplaceAll(s.name, " ", "-"), Spec: s.spec, Secrets: []string{s.secret}, URL: s.url,
		Header: http.Header{}, Body: s.body, Now: noon, Want: valid,
	}
	if s.spec == nil {
		v.Scheme = s.name
	}
	if strings.HasPrefix(s.secret, "whpk_") {
		v.ID += "-v1a"
	}
	v.ID += ": " + id
	if s.form {
		v.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if s.name == "standard-webhooks" {
		v.Header.Set("Webhook-Id", "msg_1")
	}
	if s.stamp != "" {
		v.Header.Set(s.stamp, s.at)
	}
	v.Header.Set(s.header, s.sign(s, secret, []byte(s.body)))
	return v
}

// vectors are the ways to be right and wrong that a scheme has.
func (s sample) vectors() (out []vector) {
	add := func(id string, want string, change func(*vector)) {
		v := s.vector(id, s.secret)
		v.Want = want
		change(&v)
		out = append(out, v)
	}
	value := s.sign(s, s.secret, []byte(s.body))
	add("genuine", valid, func(*vector) {})
	add("one byte of the body changed", "mismatch", func(v *vector) { v.Body = strings.Replace(v.Body, "i", "j", 1) })
	add("one byte added to the body", "mismatch", func(v *vector) { v.Body += " " })
	add("body gone", map[bool]string{true: "missing", false: "mismatch"}[s.name == "shopify"], func(v *vector) { v.Body = "" })
	add("signed by somebody else", "mismatch", func(v *vector) { *v = s.vector("signed by somebody else", s.other); v.Want = "mismatch" })
	add("rotating, signed with the first", valid, func(v *vector) { v.Secrets = []string{s.secret, s.other} })
	add("rotating, signed with the last", valid, func(v *vector) { v.Secrets = []string{s.other, s.secret} })
	add("rotated away", "mismatch", func(v *vector) { v.Secrets = []string{s.other} })
	add("no secret", unbuildable, func(v *vector) { v.Secrets = nil })
	add("empty secret", unbuildable, func(v *vector) { v.Secrets = []string{""} })
	add("empty secret beside a good one", unbuildable, func(v *vector) { v.Secrets = []string{s.secret, ""} })
	add("signature missing", "missing", func(v *vector) { v.Header.Del(s.header) })
	add("signature empty", "missing", func(v *vector) { v.Header.Set(s.header, "") })
	add("signature twice", "repeated", func(v *vector) { v.Header.Add(s.header, value) })
	add("forged signature after the good one", "repeated", func(v *vector) { v.Header.Add(s.header, "x") })
	add("signature cut short", "malformed", func(v *vector) { v.Header.Set(s.header, value[:len(value)-4]) })
	add("signature in another encoding", "malformed", func(v *vector) {
		v.Header.Set(s.header, value[:len(value)-4]+"-_~!")
	})
	if s.prefix != "" {
		add("prefix gone", "malformed", func(v *vector) { v.Header.Set(s.header, strings.TrimPrefix(value, s.prefix)) })
		add("prefix of another version", "malformed", func(v *vector) {
			v.Header.Set(s.header, "v9="+strings.TrimPrefix(value, s.prefix))
		})
	}
	if s.stamp != "" {
		add("time missing", "missing", func(v *vector) { v.Header.Del(s.stamp) })
		add("time twice", "repeated", func(v *vector) { v.Header.Add(s.stamp, s.at) })
		add("time unreadable", "malformed", func(v *vector) { v.Header.Set(s.stamp, "noon") })
		add("another time than signed", "mismatch", func(v *vector) {
			v.Header.Set(s.stamp, strings.Replace(s.at, "1", "2", 1))
			if strings.Contains(s.at, "T") {
				v.Header.Set(s.stamp, strings.Replace(s.at, "T12", "T13", 1))
			}
		})
		add("a digit of the time moved into the body", "malformed", func(v *vector) {
			v.Header.Set(s.stamp, s.at[:len(s.at)-1])
			v.Body = s.at[len(s.at)-1:] + v.Body
		})
	}
	if s.past > 0 {
		add("exactly as old as tolerated", valid, func(v *vector) { v.Now = noon.Add(s.past) })
		add("a second older than tolerated", "stale", func(v *vector) { v.Now = noon.Add(s.past + time.Second) })
		add("forged and old", "mismatch", func(v *vector) { v.Now = noon.Add(time.Hour); v.Secrets = []string{s.other} })
	} else {
		add("a year old", valid, func(v *vector) { v.Now = noon.AddDate(1, 0, 0) })
	}
	if s.future > 0 {
		add("exactly as early as tolerated", valid, func(v *vector) { v.Now = noon.Add(-s.future) })
		add("a second earlier than tolerated", "early", func(v *vector) { v.Now = noon.Add(-s.future - time.Second) })
	} else {
		add("a year early", valid, func(v *vector) { v.Now = noon.AddDate(-1, 0, 0) })
	}
	return out
}

func TestOwnVectorsAreWhatTheSamplesMake(t *testing.T) {
	t.Parallel()
	vectors := peculiar()
	for _, s := range samples {
		vectors = append(vectors, s.vectors()...)
	}
	var made bytes.Buffer
	encoder := json.NewEncoder(&made)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(vectors); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/vectors.json"
	if *update {
		if err := os.WriteFile(path, made.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, made.Bytes()) {
		t.Errorf("%s is not what the samples make: run the tests with -update and read the difference", path)
	}
}
