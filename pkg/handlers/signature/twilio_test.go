package signature_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// twilioVectors say what was signed, and what arrived.
func twilioVectors() (out []vector) {
	const secret = "towpath-twilio-one"
	const form = "application/x-www-form-urlencoded"
	add := func(id, want, signed, url, contentType, body string) {
		header := http.Header{"X-Twilio-Signature": {b64(mac(sha1.New, secret, signed))}}
		if contentType != "" {
			header.Set("Content-Type", contentType)
		}
		out = append(out, vector{ID: "twilio: " + id, Scheme: "twilio", Secrets: []string{secret}, URL: url, Header: header, Body: body, Now: noon, Want: want})
	}
	const plain = "https://h.example.com/w"
	const body = "B=2&A=1"
	add("parameters sorted", valid, plain+"A1B2", plain, form, body)
	add("form with a charset", valid, plain+"A1B2", plain, form+"; charset=UTF-8", body)
	add("parameters unsorted", "mismatch", plain+"B2A1", plain, form, body)
	add("repeated values sorted and once", valid, plain+"A1A2", plain, form, "A=2&A=1&A=2")
	add("default port signed", valid, "https://h.example.com:443/wA1B2", plain, form, body)
	add("default port of http signed", valid, "http://h.example.com:80/wA1B2", "http://h.example.com/w", form, body)
	add("port of the other scheme signed", "mismatch", "http://h.example.com:443/wA1B2", "http://h.example.com/w", form, body)
	add("port left out", valid, plain+"A1B2", "https://h.example.com:8443/w", form, body)
	add("another port signed", "mismatch", "https://h.example.com:8444/wA1B2", "https://h.example.com:8443/w", form, body)
	add("password and port", valid, "https://u:1@h.example.com/wA1B2", "https://u:1@h.example.com:8443/w", form, body)
	add("password is no port", "mismatch", "https://u@h.example.com/wA1B2", "https://u:1@h.example.com/w", form, body)
	add("IPv6 and port", valid, "https://[2001:db8::1]/wA1B2", "https://[2001:db8::1]:8443/w", form, body)
	add("fragment left out", valid, plain+"A1B2", plain+"#top", form, body)
	add("no path", valid, "https://h.example.com?q=1A1B2", "https://h.example.com?q=1", form, body)
	add("quote escaped", valid, plain+"?q=it%27sA1B2", plain+"?q=it's", form, body)
	add("quote as it is", valid, plain+"?q=it'sA1B2", plain+"?q=it's", form, body)
	add("another host", "mismatch", plain+"A1B2", "https://i.example.com/w", form, body)
	add("another query", "mismatch", plain+"?q=1A1B2", plain+"?q=2", form, body)
	add("no body", valid, plain+"?q=1", plain+"?q=1", "", "")
	add("form slipped under a URL signed alone", "mismatch", plain+"?q=1", plain+"?q=1", form, body)
	add("other body slipped under a URL signed alone", "missing", plain+"?q=1", plain+"?q=1", "application/json", `{}`)
	add("form called something else", "missing", plain+"A1B2", plain, "text/plain", body)
	add("form called nothing", "missing", plain+"A1B2", plain, "", body)
	add("form with a bad escape", "malformed", plain+"A%zz", plain, form, "A=%zz")
	add("URL not known", "missing", plain+"A1B2", "", form, body)
	add("URL not absolute", "malformed", plain+"A1B2", "/w", form, body)

	sum := sha256.Sum256([]byte(`{}`))
	hashed := plain + "?bodySHA256=" + hex.EncodeToString(sum[:])
	add("hash of a JSON body", valid, hashed, hashed, "application/json", `{}`)
	add("hash of another JSON body", "mismatch", hashed, hashed, "application/json", `{"a":1}`)
	add("hash without a body", "mismatch", hashed, hashed, "application/json", "")
	add("hash twice", "repeated", hashed+"&bodySHA256=", hashed+"&bodySHA256=", "application/json", `{}`)
	add("hash does not vouch for a form", "mismatch", hashed, hashed, form, body)
	return out
}
