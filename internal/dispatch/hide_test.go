package dispatch_test

import (
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/dispatch"
)

func TestSecretsAreHiddenInWhateverFormTheyAreSent(t *testing.T) {
	t.Parallel()
	const secret, other = `pa&ss<word"/+=`, "pa&ss"
	hide := dispatch.Hide([]string{other, secret})
	for name, text := range map[string]string{
		"plain":                  "Bearer " + secret,
		"JSON":                   `{"x":"pa\u0026ss\u003cword\"/+="}`,
		"JSON without HTML":      `{"x":"pa&ss<word\"/+="}`,
		"a query":                "https://x.example/?k=pa%26ss%3Cword%22%2F%2B%3D&n=1",
		"basic authentication":   "Basic cGEmc3M8d29yZCIvKz06",
		"a derived one":          `{"url":"https://x.example","secret_token":"JRAKEf0123"}`,
		"one that was given out": `{"access_token":"eyJhbGciOi","expires_in":3600}`,
		"a form":                 "grant_type=x&client_secret=hunter22&n=1",
	} {
		got := hide(text)
		for _, part := range []string{"word", "JRAKEf", "eyJhb", "hunter22", "cGEmc3"} {
			if strings.Contains(got, part) {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	for _, text := range []string{`{"nextToken":"abc"}`, `{"text":"the secret: no"}`, "nextToken=abc", `{"tokens":3}`} {
		if got := hide(text); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}
