package signature

import (
	"cmp"
	"net/http"
	"strings"
	"time"
)

// Describe says in a few words how a scheme proves a message, for people; what
// stands in code is in backquotes. It knows the schemes of this package.
func Describe(scheme Scheme) string {
	switch s := scheme.(type) {
	case Spec:
		what := ""
		if s.Template != "" && s.Template != "{body}" {
			what = " of `" + s.Template + "`"
		}
		algorithm := "ed25519"
		if s.Algorithm != Ed25519 {
			algorithm = "HMAC-" + strings.ToUpper(string(cmp.Or(s.Algorithm, SHA256)))
		}
		return algorithm + what + " in " + code(s.Header)
	case byHeader:
		headers := make([]string, len(s))
		for i, spec := range s {
			headers[i] = code(spec.Header)
		}
		return strings.TrimSuffix(Describe(s[0]), headers[0]) + strings.Join(headers, " or ")
	case SharedSecret:
		return "the secret in " + code(s.Header)
	case StandardWebhooks:
		return Describe(s.symmetric()) + "; v1a: ed25519"
	case Twilio:
		return "HMAC-SHA1 of URL and parameters in " + code("X-Twilio-Signature")
	}
	return ""
}

// Window says how far from now a message may be signed, for people; empty if its
// scheme does not mind.
func Window(scheme Scheme) string {
	switch s := scheme.(type) {
	case Spec:
		return s.Tolerance.window()
	case StandardWebhooks:
		return s.symmetric()[0].Tolerance.window()
	}
	return ""
}

func (t Tolerance) window() string {
	past, future := span(t.Past), span(t.Future)
	switch {
	case past == future:
		return past
	case future == "":
		return past + ", of age only"
	case past == "":
		return future + ", ahead only"
	}
	return past + ", ahead " + future
}

// span writes a duration as people do; empty for none.
func span(d Duration) string {
	text := time.Duration(d).String()
	if d == 0 {
		return ""
	}
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func code(header string) string { return "`" + http.CanonicalHeaderKey(header) + "`" }
