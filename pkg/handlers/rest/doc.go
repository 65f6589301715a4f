// Package rest is what an integration calls a platform's HTTP API with, so that
// a platform's own code is only the platform's own facts.
//
// An [API] sends a request once, over the HTTP client of the handler's props,
// reads a bounded answer and decides what it means for the delivery: whether it
// is done, tried again (and when), given up, or a matter of credentials. What a
// platform says in its own words is read by its [API.Refused]; the rest, which
// every platform does alike, is decided by the status in one place,
// [Error.Judge].
//
//	func api(p handlers.Props[Config]) rest.API {
//		token := p.Ctx.Configuration.BotToken
//		return rest.API{
//			Name: "Telegram", HTTP: p.HTTP, Secret: token, Refused: refused,
//			Base: cmp.Or(p.Ctx.Configuration.APIURL, "https://api.telegram.org") + "/bot" + token.Reveal(),
//		}
//	}
//
//	var sent message
//	err := api(p).Do(ctx, http.MethodPost, "sendMessage", message{ChatID: chat, Text: text}, &sent)
//
// Nothing is ever sent a second time here: only the worker knows what may be.
// No error tells a URL's path or query, since some platforms carry the token
// there.
package rest
