package signature_test

import (
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers/signature"
)

func TestDescribeSaysHowAndWindowHowLong(t *testing.T) {
	t.Parallel()
	const minute = signature.Duration(time.Minute)
	for _, c := range []struct {
		scheme        signature.Scheme
		proof, window string
	}{
		{signature.Slack, "HMAC-SHA256 of `v0:{timestamp}:{body}` in `X-Slack-Signature`", "5m"},
		{signature.Stripe, "HMAC-SHA256 of `{timestamp}.{body}` in `Stripe-Signature`", "5m, of age only"},
		{signature.Shopify, "HMAC-SHA256 in `X-Shopify-Hmac-Sha256` or `Shopify-Hmac-Sha256`", ""},
		{signature.Discord, "ed25519 of `{timestamp}{body}` in `X-Signature-Ed25519`", ""},
		{signature.Intercom, "HMAC-SHA1 in `X-Hub-Signature`", ""},
		{signature.Telegram, "the secret in `X-Telegram-Bot-Api-Secret-Token`", ""},
		{signature.StandardWebhooks{}, "HMAC-SHA256 of `{id}.{timestamp}.{body}` in `Webhook-Signature` or `Svix-Signature`; v1a: ed25519", "5m"},
		{signature.Twilio{}, "HMAC-SHA1 of URL and parameters in `X-Twilio-Signature`", ""},
		{signature.Spec{Header: "x", Tolerance: signature.Tolerance{Past: 90 * minute, Future: minute}}, "HMAC-SHA256 in `X`", "1h30m, ahead 1m"},
		{signature.Spec{Header: "x", Tolerance: signature.Tolerance{Future: minute / 2}}, "HMAC-SHA256 in `X`", "30s, ahead only"},
		{signature.Spec{Header: "x", Tolerance: signature.Tolerance{Past: 24 * 60 * minute}}, "HMAC-SHA256 in `X`", "24h, of age only"},
	} {
		if got := signature.Describe(c.scheme); got != c.proof {
			t.Errorf("got %s, want %s", got, c.proof)
		}
		if got := signature.Window(c.scheme); got != c.window {
			t.Errorf("%s: got %q, want %q", c.proof, got, c.window)
		}
	}
	for _, name := range signature.Names() {
		if scheme, _ := signature.Named(name); signature.Describe(scheme) == "" {
			t.Errorf("%s is not described", name)
		}
	}
}
