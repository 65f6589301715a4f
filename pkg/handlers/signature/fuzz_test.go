package signature_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers/signature"
)

// FuzzVerify throws headers and bodies at every scheme. None panics, and what is accepted has the body that was signed:
// each scheme has signed one message, whose parts the fuzzer is free to use.
func FuzzVerify(f *testing.F) {
	f.Add("v0=00", "1772366400", "msg_1", []byte(`{"webhookTimestamp":1772366400000}`), "https://h.example.com/w?bodySHA256=1", int64(0))
	f.Add("t=1772366400,v1=00,v1=zz", "2026-03-01T12:00:00Z", "msg.1", []byte(`{"webhookTimestamp":{}`), "http://u:p@[::1]:80/'", int64(-1))
	f.Add("v1,AAAA v1a,AAAA", "1772366400000", "", []byte("a=b&a=c"), ":", int64(1)<<62)
	signed := []byte(`{"webhookTimestamp":1772366400000,"a":1}`)
	const url = "https://h.example.com/w"
	type trial struct {
		pair
		verifier signature.Verifier
		msg      signature.Message
	}
	var trials []trial
	for _, p := range pairs() {
		verifier, err := p.scheme.Verifier(p.verify)
		if err != nil {
			f.Fatal(err)
		}
		msg := signature.Message{Body: signed, URL: url}
		if err := p.scheme.Sign(&msg, p.sign, noon); err != nil {
			f.Fatal(err)
		}
		trials = append(trials, trial{p, verifier, msg})
		for _, values := range msg.Header {
			f.Add(values[0], "1772366400", "msg_1", msg.Body, msg.URL, noon.Unix())
		}
	}
	f.Fuzz(func(t *testing.T, value, stamp, id string, body []byte, url string, unix int64) {
		now := time.Unix(unix, 0)
		for _, trial := range trials {
			check := func(msg signature.Message) {
				if err := trial.verifier.Verify(msg, now); err == nil && trial.signs() && !bytes.Equal(msg.Body, trial.msg.Body) {
					t.Errorf("%s accepts a body that was not signed: %q", trial.name, msg.Body)
				} else if err != nil {
					reason(t, err)
				}
			}
			// The signed headers over another body and URL.
			check(signature.Message{Header: trial.msg.Header, Body: body, URL: url})
			// Each header in turn, and all at once, another.
			all := http.Header{}
			for name := range trial.msg.Header {
				one := trial.msg.Header.Clone()
				for _, header := range []http.Header{one, all} {
					switch name {
					case "Webhook-Id", "X-Id":
						header.Set(name, id)
					case "X-Time", "Webhook-Timestamp", "X-Slack-Request-Timestamp", "X-Signature-Timestamp", "X-Zendesk-Webhook-Signature-Timestamp":
						header.Set(name, stamp)
					default:
						header.Set(name, value)
					}
				}
				check(signature.Message{Header: one, Body: body, URL: trial.msg.URL})
			}
			check(signature.Message{Header: all, Body: body, URL: url})
		}
	})
}

// FuzzSpec builds schemes out of anything. A scheme that can be built signs, verifies what it signed, and refuses the
// same message with another body.
func FuzzSpec(f *testing.F) {
	f.Add("sha256", "X-Sig", "v0=", "hex", "", "", "", "v0:{timestamp}:{body}", "", "X-Time", "", "", "s", "secret")
	f.Add("sha1", "S", "", "base64", "pairs", ";", "v1", "{id}.{timestamp}.{body}", "I", "", "t", "", "ms", "secret")
	f.Add("sha512", "S", "", "hex", "versions", " ", "v1", "{url}{body}", "", "", "", "a.b", "rfc3339", "secret")
	f.Add("ed25519", "S", "", "hex", "", "", "", "{", "", "", "", "a", "", "0")
	f.Fuzz(func(t *testing.T, algorithm, header, prefix, encoding, list, separator, version, template, idHeader, timeHeader, field, path, unit, secret string) {
		spec := signature.Spec{
			Algorithm: signature.Algorithm(algorithm), Header: header, Prefix: prefix, Encoding: signature.Encoding(encoding),
			List: signature.List(list), Separator: separator, Version: version, Template: template, IDHeader: idHeader,
			Timestamp: signature.Timestamp{Header: timeHeader, Field: field, BodyPath: path, Unit: signature.Unit(unit)},
		}
		verifier, err := spec.Verifier(secret)
		if err != nil {
			return
		}
		msg := signature.Message{Body: []byte(`{"a":{"b":"c"}}`), URL: "https://h.example.com/w"}
		if err := spec.Sign(&msg, secret, noon); err != nil {
			return
		}
		if err := verifier.Verify(msg, noon); err != nil {
			t.Errorf("refuses what it signed: %v: %+v", err, spec)
		}
		msg.Body = []byte(`{"a":{"b":"d"}}`)
		if err := verifier.Verify(msg, noon); err == nil {
			t.Errorf("accepts another body than it signed: %+v", spec)
		}
	})
}
