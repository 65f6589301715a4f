package signature_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// peculiar are the vectors that only one platform has.
func peculiar() (out []vector) {
	of := func(scheme string) sample {
		for _, s := range samples {
			if s.name == scheme {
				return s
			}
		}
		panic("no sample of " + scheme)
	}
	add := func(scheme, id, want string, change func(v *vector, value string)) {
		s := of(scheme)
		v := s.vector(id, s.secret)
		v.Want = want
		change(&v, v.Header.Get(s.header))
		out = append(out, v)
	}

	for _, platform := range []string{"github", "whatsapp"} {
		s := of(platform)
		old := "sha1=" + hex.EncodeToString(mac(sha1.New, s.secret, s.body))
		add(platform, "only the SHA-1 signature", "missing", func(v *vector, _ string) {
			v.Header = http.Header{"X-Hub-Signature": {old}}
		})
		add(platform, "SHA-1 under the SHA-256 header", "malformed", func(v *vector, _ string) { v.Header.Set(s.header, old) })
		add(platform, "SHA-1 claiming to be SHA-256", "malformed", func(v *vector, _ string) {
			v.Header.Set(s.header, strings.Replace(old, "sha1", "sha256", 1))
		})
		add(platform, "signed with the empty key", unbuildable, func(v *vector, _ string) {
			v.Secrets = []string{""}
			v.Header.Set(s.header, "sha256="+hex.EncodeToString(mac(sha256.New, "", s.body)))
		})
		add(platform, "secret of blanks", unbuildable, func(v *vector, _ string) { v.Secrets = []string{" \t\n"} })
		add(platform, "secret of zeros", unbuildable, func(v *vector, _ string) { v.Secrets = []string{"\x00\x00"} })
	}

	add("shopify", "newer header", valid, func(v *vector, value string) {
		v.Header = http.Header{"Shopify-Hmac-Sha256": {value}}
	})
	add("shopify", "both headers", "repeated", func(v *vector, value string) { v.Header.Set("Shopify-Hmac-Sha256", value) })
	add("shopify", "empty body, signed", "missing", func(v *vector, _ string) {
		v.Body = ""
		v.Header.Set("X-Shopify-Hmac-Sha256", b64(mac(sha256.New, v.Secrets[0], "")))
	})

	zeros := strings.Repeat("0", 64)
	stripe := func(id, want, pattern string) {
		add("stripe", id, want, func(v *vector, value string) {
			_, signature, _ := strings.Cut(value, "v1=")
			v.Header.Set("Stripe-Signature", strings.NewReplacer("NOW", unix, "GOOD", "v1="+signature, "BAD", zeros).Replace(pattern))
		})
	}
	stripe("two signatures, the last good", valid, "t=NOW,v1=BAD,GOOD")
	stripe("two signatures, none good", "mismatch", "t=NOW,v1=BAD,v1=BAD")
	stripe("an unreadable signature beside a good one", valid, "t=NOW,v1=zz,GOOD")
	stripe("another version only", "missing", "t=NOW,v0=BAD")
	stripe("no time", "missing", "GOOD")
	stripe("two times", "repeated", "t=NOW,t=NOW,GOOD")
	stripe("time after the signature", valid, "GOOD,t=NOW")
	stripe("blanks between", valid, "t=NOW, GOOD")
	stripe("not pairs", "malformed", "t=NOW,hello")
	stripe("time with a sign", "malformed", "t=+NOW,GOOD")
	stripe("more signatures than anybody rotates", "malformed", "t=NOW,GOOD"+strings.Repeat(",v1=BAD", 16))

	add("linear", "fresh time in the unsigned header, old in the body", "stale", func(v *vector, _ string) {
		v.Now = noon.AddDate(0, 0, 1)
		v.Header.Set("Linear-Timestamp", "1772452800000")
	})
	linear := func(id, want, body string) {
		add("linear", id, want, func(v *vector, _ string) {
			v.Body = body
			v.Header.Set("Linear-Signature", hex.EncodeToString(mac(sha256.New, v.Secrets[0], body)))
			v.Header.Set("Linear-Timestamp", "1772366400000")
		})
	}
	linear("no time in the body", "missing", `{"action":"create","data":{"webhookTimestamp":1772366400000}}`)
	linear("time is a word", "malformed", `{"webhookTimestamp":"noon"}`)
	linear("time is null", "malformed", `{"webhookTimestamp":null}`)
	linear("time is an object", "malformed", `{"webhookTimestamp":{}}`)
	linear("time in seconds", "malformed", `{"webhookTimestamp":1772366400}`)
	linear("time as text", valid, `{"webhookTimestamp": "1772366400000" }`)
	linear("blanks around the time", valid, "{\n\t\"webhookTimestamp\" :  1772366400000  }")
	linear("body is a list", "malformed", `[1772366400000]`)
	linear("body is not JSON", "malformed", `webhookTimestamp=1772366400000`)
	linear("body ends early", "malformed", `{"webhookTimestamp":`)
	linear("empty body", "malformed", ``)

	std := func(id, want string, change func(v *vector, value string)) {
		add("standard-webhooks", id, want, change)
	}
	std("svix headers", valid, func(v *vector, value string) {
		v.Header = http.Header{"Svix-Id": {"msg_1"}, "Svix-Timestamp": {unix}, "Svix-Signature": {value}}
	})
	std("headers of both families", "repeated", func(v *vector, value string) { v.Header.Set("Svix-Signature", value) })
	std("svix signature over the other family's id", "missing", func(v *vector, value string) {
		v.Header.Del("Webhook-Signature")
		v.Header.Set("Svix-Signature", value)
	})
	std("id missing", "missing", func(v *vector, _ string) { v.Header.Del("Webhook-Id") })
	std("another id than signed", "mismatch", func(v *vector, _ string) { v.Header.Set("Webhook-Id", "msg_2") })
	std("id and time moved into each other", "malformed", func(v *vector, _ string) {
		v.Header.Set("Webhook-Id", "msg_1."+unix)
	})
	std("several versions", valid, func(v *vector, value string) {
		v.Header.Set("Webhook-Signature", "v2,abc v1a,abc v1,"+b64(make([]byte, 32))+" "+value)
	})
	std("only versions without a key", "missing", func(v *vector, value string) {
		v.Header.Set("Webhook-Signature", strings.Replace(value, "v1,", "v1a,", 1))
	})
	std("secret without prefix", valid, func(v *vector, _ string) {
		v.Secrets = []string{strings.TrimPrefix(symmetric, "whsec_")}
	})
	std("secret and public key, signed with the secret", valid, func(v *vector, _ string) {
		v.Secrets = []string{publicB64("one"), symmetric}
	})
	std("secret and public key, signed with neither", "mismatch", func(v *vector, _ string) {
		v.Secrets = []string{publicB64("one"), rotated}
	})
	for _, bad := range []struct{ id, secret string }{
		{"secret of a prefix alone", "whsec_"},
		{"secret too short", "whsec_" + b64([]byte("twenty-three bytes long"))},
		{"secret too long", "whsec_" + b64(make([]byte, 65))},
		{"secret is not base64", "whsec_***"},
		{"public key too short", "whpk_" + b64([]byte("short"))},
		{"private key to verify", "whsk_" + b64(privateKey("one"))},
	} {
		std(bad.id, unbuildable, func(v *vector, _ string) { v.Secrets = []string{bad.secret} })
	}

	for _, bad := range []struct{ id, secret string }{
		{"key too short", "abcd"}, {"key too long", publicHex("one") + "00"}, {"key is not hex", "public key"},
		{"key of zeros", strings.Repeat("00", 32)},
	} {
		add("discord", bad.id, unbuildable, func(v *vector, _ string) { v.Secrets = []string{bad.secret} })
	}

	telegram := func(id, want string, secrets []string, values ...string) {
		v := vector{ID: "telegram: " + id, Scheme: "telegram", Secrets: secrets, Body: `{"update_id":1}`, Now: noon, Want: want, Header: http.Header{}}
		for _, value := range values {
			v.Header.Add("X-Telegram-Bot-Api-Secret-Token", value)
		}
		out = append(out, v)
	}
	telegram("genuine", valid, []string{"towpath-1"}, "towpath-1")
	telegram("rotating", valid, []string{"towpath-2", "towpath-1"}, "towpath-1")
	telegram("another token", "mismatch", []string{"towpath-1"}, "towpath-2")
	telegram("beginning of the token", "mismatch", []string{"towpath-1"}, "towpath")
	telegram("token and more", "mismatch", []string{"towpath-1"}, "towpath-1 ")
	telegram("missing", "missing", []string{"towpath-1"})
	telegram("empty", "missing", []string{"towpath-1"}, "")
	telegram("twice", "repeated", []string{"towpath-1"}, "towpath-1", "towpath-1")
	telegram("empty on both sides", unbuildable, []string{""}, "")
	telegram("no secret", unbuildable, nil, "towpath-1")
	return append(out, twilioVectors()...)
}
