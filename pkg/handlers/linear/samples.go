package linear

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

var samples = handlers.Samples[Config]{
	"issueCreated":   {Title: "somebody creates an issue", Build: sample(typeIssue, actionCreate, sampleIssue)},
	"issueUpdated":   {Title: "somebody changes an issue", Build: sample(typeIssue, "update", sampleIssue)},
	"issueDeleted":   {Title: "somebody deletes an issue", Build: sample(typeIssue, actionRemove, sampleIssue)},
	"commentCreated": {Title: "somebody comments on an issue", Build: sample(typeComment, actionCreate, sampleComment)},
	"commentByApp": {Title: "an app comments on an issue", Build: sample(typeComment, actionCreate, func(a handlers.SampleArgs) object {
		said := sampleComment(a)
		delete(said, "user")
		said["userId"], said["botActor"] = nil, `{"id":"`+uuidOf("app")+`","type":"github","name":"GitHub"}`
		return said
	})},
}

// sample builds a signed delivery. Linear's ids are UUIDs: the conversation and
// the user are one, or any text, which always makes the same one.
func sample(typ, action string, data func(handlers.SampleArgs) object) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		content := object{
			"action": action, "type": typ, "data": data(a), "url": sampleURL, "createdAt": moment(a.Now),
			"actor":          object{"id": uuidOf(a.User), "type": "user", "name": a.User, "email": "somebody@example.com"},
			"organizationId": uuidOf("organization"), "webhookId": uuidOf("webhook"), "webhookTimestamp": a.Now.UnixMilli(),
		}
		if action == "update" {
			content["updatedFrom"] = object{"updatedAt": moment(a.Now.Add(-time.Hour)), "title": "Rope too short", "priority": 0}
		}
		body, err := json.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encode sample: %w", err)
		}
		message := signature.Message{Header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"Linear-Webhook"},
			"Linear-Delivery": {uuidOf(a.ID)}, "Linear-Event": {typ}, "Linear-Timestamp": {strconv.FormatInt(a.Now.UnixMilli(), 10)},
		}, Body: body}
		if err := signature.Linear.Sign(&message, configuration.WebhookSigningSecret[0].Reveal(), a.Now); err != nil {
			return nil, fmt.Errorf("sign sample: %w", err)
		}
		return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
	}
}

const sampleURL = "https://linear.app/towpath/issue/TOW-42/the-rope-is-too-short"

func sampleIssue(a handlers.SampleArgs) object {
	state := object{"id": uuidOf("state"), "name": "Todo", "type": "unstarted", "color": "#e2e2e2"}
	return object{
		"id": uuidOf(a.Conversation), "identifier": "TOW-42", "number": 42, "title": a.Text, "description": "It ends **before** the lock.",
		"priority": 2, "priorityLabel": "High", "state": state, "stateId": state["id"], "url": sampleURL,
		"team":   object{"id": uuidOf("team"), "key": "TOW", "name": "Towpath"},
		"teamId": uuidOf("team"), "creatorId": uuidOf(a.User), "assigneeId": nil, "projectId": nil,
		"labels": []object{{"id": uuidOf("label"), "name": "Bug", "color": "#eb5757"}}, "labelIds": []string{uuidOf("label")},
		"subscriberIds": []string{uuidOf(a.User)}, "sortOrder": -26718, "boardOrder": 0, "previousIdentifiers": []string{},
		"createdAt": moment(a.Now), "updatedAt": moment(a.Now),
	}
}

func sampleComment(a handlers.SampleArgs) object {
	issue := uuidOf(a.Conversation)
	return object{
		"id": uuidOf("comment " + a.ID), "body": a.Text, "issueId": issue, "userId": uuidOf(a.User), "edited": false, "reactionData": []object{},
		"issue": object{"id": issue, "identifier": "TOW-42", "title": "The rope is too short", "teamId": uuidOf("team"), "url": sampleURL},
		"user":  object{"id": uuidOf(a.User), "name": a.User, "email": "somebody@example.com"}, "botActor": nil, "archivedAt": nil,
		"createdAt": moment(a.Now), "updatedAt": moment(a.Now),
	}
}

// uuidOf is the UUID that a text is, or one made of it.
func uuidOf(text string) string {
	if isUUID(text) {
		return strings.ToLower(text)
	}
	var id [16]byte
	copy(id[:], digest("sample", text))
	return uuid(id)
}

func isUUID(text string) bool {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	return err == nil && len(raw) == 16 && len(text) == 36
}

func moment(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
