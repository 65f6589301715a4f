package signature

import (
	"maps"
	"slices"
	"time"
)

const (
	minute      = Duration(time.Minute)
	fiveMinutes = 5 * minute
)

// Slack signs its Events API, slash commands and interactions alike. The secret is the app's signing secret.
var Slack = Spec{
	Header:    "X-Slack-Signature",
	Prefix:    "v0=",
	Template:  "v0:{timestamp}:{body}",
	Timestamp: Timestamp{Header: "X-Slack-Request-Timestamp"},
	Tolerance: Tolerance{Past: fiveMinutes, Future: fiveMinutes},
}

// GitHub signs with the webhook's secret. The SHA-1 header it sends beside is not looked at.
var GitHub = Spec{Header: "X-Hub-Signature-256", Prefix: "sha256="}

// Meta signs WhatsApp, Messenger and Instagram with the app's secret. The SHA-1 header it sends beside is not looked at.
var Meta = Spec{Header: "X-Hub-Signature-256", Prefix: "sha256="}

// Linear signs with the webhook's secret, and the time with the body: its Linear-Timestamp header is unsigned and not
// looked at. Whether a retry, up to six hours later, carries a new time is not documented, so a copy of this spec with
// another tolerance may be wanted.
var Linear = Spec{
	Header:    "Linear-Signature",
	Timestamp: Timestamp{BodyPath: "webhookTimestamp", Unit: Milliseconds},
	Tolerance: Tolerance{Past: minute, Future: minute},
}

// Stripe signs with the endpoint's secret as it is shown, whsec_ included. A time in the future is tolerated, as its
// own libraries do.
var Stripe = Spec{
	Header:    "Stripe-Signature",
	List:      Pairs,
	Version:   "v1",
	Template:  "{timestamp}.{body}",
	Timestamp: Timestamp{Field: "t"},
	Tolerance: Tolerance{Past: fiveMinutes},
}

// Zendesk signs with the webhook's secret as it is shown. It documents no tolerance.
var Zendesk = Spec{
	Header:    "X-Zendesk-Webhook-Signature",
	Encoding:  Base64,
	Template:  "{timestamp}{body}",
	Timestamp: Timestamp{Header: "X-Zendesk-Webhook-Signature-Timestamp", Unit: RFC3339},
}

// Intercom signs with the app's client secret, and has nothing newer than SHA-1.
var Intercom = Spec{Algorithm: SHA1, Header: "X-Hub-Signature", Prefix: "sha1="}

// Notion signs with the verification token that its one unsigned request handed over.
var Notion = Spec{Header: "X-Notion-Signature", Prefix: "sha256="}

// TeamsOutgoing is an outgoing webhook of Microsoft Teams. The secret is the security token, in base64.
var TeamsOutgoing = Spec{
	Header:   "Authorization",
	Prefix:   "HMAC ",
	Encoding: Base64,
	Key:      Key{Encoding: Base64},
}

// Discord signs interactions and webhook events. To verify, the secret is the application's public key, in hex; to
// sign, the private key or its seed. It documents no tolerance: against replays, tell interactions by their id.
var Discord = Spec{
	Algorithm: Ed25519,
	Header:    "X-Signature-Ed25519",
	Template:  "{timestamp}{body}",
	Timestamp: Timestamp{Header: "X-Signature-Timestamp"},
	Key:       Key{Encoding: Hex},
}

// Shopify signs with the app's client secret, which after a rotation takes up to an hour to sign. Its newer events
// carry the same signature in another header; a message that has both is refused.
var Shopify Scheme = byHeader{
	Spec{Header: "X-Shopify-Hmac-Sha256", Encoding: Base64, RequireBody: true},
	Spec{Header: "Shopify-Hmac-Sha256", Encoding: Base64, RequireBody: true},
}

// Telegram sends the secret_token given to setWebhook.
var Telegram = SharedSecret{Header: "X-Telegram-Bot-Api-Secret-Token"}

var named = map[string]Scheme{
	"slack":             Slack,
	"github":            GitHub,
	"whatsapp":          Meta,
	"messenger":         Meta,
	"linear":            Linear,
	"stripe":            Stripe,
	"zendesk":           Zendesk,
	"intercom":          Intercom,
	"notion":            Notion,
	"teams-outgoing":    TeamsOutgoing,
	"discord":           Discord,
	"shopify":           Shopify,
	"telegram":          Telegram,
	"twilio":            Twilio{},
	"standard-webhooks": StandardWebhooks{},
}

// Named is the ready-made scheme of a platform, as a configuration file names it.
func Named(platform string) (Scheme, bool) {
	scheme, ok := named[platform]
	return scheme, ok
}

// Names lists what [Named] knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(named)) }
