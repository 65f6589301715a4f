// Package handlerstest runs an integration in a test as it runs in production:
// through the same steps, the same dispatch and the same store, against the
// integration's own fake of its platform.
//
// A [Kit] is one installation of the integration. It can be sent what the
// platform sends ([Kit.Webhook]), what a bot sends ([Kit.Send], [Kit.Action])
// and what an operator asks for ([Kit.Register]); each returns an [Outcome]
// that tells all that came of it:
//
//	kit := handlerstest.New(t, acme.Integration, `{"token":"t-12345678","secret":"s-12345678"}`)
//
//	heard := kit.Webhook(kit.Sample("message", handlers.SampleArgs{Text: "hi"}))
//	// heard.Parts[0].Key, heard.Messages[0].Payload, handlerstest.Fired(heard, acme.Renamed)
//
//	kit.Script(fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "3"}, Times: 1})
//	said := kit.Send(handlerstest.Message{Payload: events.Text{Text: "hello"}, Conversation: client.Tags{"id": "C1"}})
//	// said.Verdict is {retry, 3 s}; said = kit.Retry(said) sends and acks it
//
// [Refusals] holds the integration's verification to what every one must
// refuse. Every kit watches that no log line and no error tells a secret of the
// configuration.
//
// Users, conversations and states are in a real store on an embedded NATS that
// the tests of a binary share; every kit has a bot of its own in it. Kits stop
// what they started when their test ends, so goleak finds nothing.
package handlerstest
