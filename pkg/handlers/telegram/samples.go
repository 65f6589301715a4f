package telegram

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"strconv"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// The bot of the fake.
const (
	fakeBot      = 4201
	fakeUsername = "towpath_bot"
)

var samples = handlers.Samples[Config]{
	"message": {Title: "somebody writes to the bot", Build: sample(func(a handlers.SampleArgs) object {
		return object{"message": written(a, privateChat(a), object{"text": a.Text})}
	})},
	"message_group": {Title: "somebody writes in a group", Build: sample(func(a handlers.SampleArgs) object {
		return object{"message": written(a, groupChat(a), object{"text": a.Text})}
	})},
	"message_photo": {Title: "somebody sends a picture", Build: sample(func(a handlers.SampleArgs) object {
		return object{"message": written(a, privateChat(a), object{"caption": a.Text, "photo": []object{
			{"file_id": "AgACAgQAAxkBAAIBsmall", "file_unique_id": "AQADsmall", "file_size": 1204, "width": 90, "height": 51},
			{"file_id": "AgACAgQAAxkBAAIBlarge", "file_unique_id": "AQADlarge", "file_size": 98213, "width": 1280, "height": 720},
		}})}
	})},
	"edited_message": {Title: "somebody changes what they wrote", Build: sample(func(a handlers.SampleArgs) object {
		edited := written(a, privateChat(a), object{"text": a.Text + " (edited)", "edit_date": a.Now.Unix() + 5})
		return object{"edited_message": edited, "update_id": numbered(a.ID) + 1}
	})},
	"new_chat_members": {Title: "a group says that somebody joined", Build: sample(func(a handlers.SampleArgs) object {
		joined := person(a)
		return object{"message": written(a, groupChat(a), object{
			"new_chat_participant": joined, "new_chat_member": joined, "new_chat_members": []object{joined},
		})}
	})},
	"left_chat_member": {Title: "a group says that somebody left", Build: sample(func(a handlers.SampleArgs) object {
		return object{"message": written(a, groupChat(a), object{"left_chat_participant": person(a), "left_chat_member": person(a)})}
	})},
	"chat_member": {Title: "Telegram tells an admin that somebody joined", Build: sample(func(a handlers.SampleArgs) object {
		return object{"update_id": numbered(a.ID) + 1, "chat_member": object{
			"chat": groupChat(a), "from": person(a), "date": a.Now.Unix(), "via_join_request": false,
			"old_chat_member": object{"user": person(a), "status": "left"},
			"new_chat_member": object{"user": person(a), "status": "member"},
		}}
	})},
	"callback_query": {Title: "somebody presses a button", Build: sample(func(a handlers.SampleArgs) object {
		below := written(a, privateChat(a), object{"text": "Tea?", "from": object{
			"id": fakeBot, "is_bot": true, "first_name": "Towpath", "username": fakeUsername,
		}})
		return object{"callback_query": object{
			"id": strconv.FormatInt(numbered(a.ID), 10) + "00001", "from": person(a), "message": below,
			"chat_instance": "-4200000000000000001", "data": a.Text,
		}}
	})},
	"migrate": {Title: "a group becomes a supergroup", Build: sample(func(a handlers.SampleArgs) object {
		group := object{"id": -numbered(a.Conversation), "type": "group", "title": "Towpath"}
		return object{"message": written(a, group, object{"migrate_to_chat_id": groupChat(a)["id"]})}
	})},
}

// sample puts what happened into an update, with the secret that Telegram sends.
// Where the same id shall make another update about the same, it has one already.
func sample(happened func(handlers.SampleArgs) object) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		update := happened(a)
		if update["update_id"] == nil {
			update["update_id"] = numbered(a.ID)
		}
		body, err := json.Marshal(update)
		if err != nil {
			return nil, fmt.Errorf("encode sample: %w", err)
		}
		message := signature.Message{Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
		if err := signature.Telegram.Sign(&message, c.secretTokens()[0], a.Now); err != nil {
			return nil, fmt.Errorf("sign sample: %w", err)
		}
		return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
	}
}

// written is a message of the sample's user in a chat.
func written(a handlers.SampleArgs, in, with object) object {
	m := object{"message_id": numbered(a.ID) % 100_000, "from": person(a), "chat": in, "date": a.Now.Unix()}
	maps.Copy(m, with)
	return m
}

func person(a handlers.SampleArgs) object {
	return object{
		"id": numbered(a.User), "is_bot": false, "first_name": "Ada", "last_name": "Lock", "username": "ada_lock", "language_code": "en",
	}
}

// privateChat has the id of the person, unless a conversation is asked for by
// its number.
func privateChat(a handlers.SampleArgs) object {
	id := numbered(a.User)
	if asked, err := strconv.ParseInt(a.Conversation, 10, 64); err == nil {
		id = asked
	}
	return object{"id": id, "type": "private", "first_name": "Ada", "last_name": "Lock", "username": "ada_lock"}
}

// groupChat has an id as supergroups have.
func groupChat(a handlers.SampleArgs) object {
	id, err := strconv.ParseInt(a.Conversation, 10, 64)
	if err != nil {
		id = -1_000_000_000_000 - numbered(a.Conversation)
	}
	return object{"id": id, "type": "supergroup", "title": "Towpath"}
}

// numbered is a number as it is, and any other text as a number: Telegram's ids
// are numbers.
func numbered(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return n
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(text)) // a hash takes everything
	return int64(sum.Sum32()>>1) + 1
}
