package schema

func messageMembers() []EventMember {
	return []EventMember{
		idMember("id", "The message."),
		textMember("content", "The text; not always what was sent, as it may be rendered for the channel."),
		contentType(),
		openObject("content_attributes", "What the form of the content needs besides."),
		{
			Name: "message_type", Types: []string{"string", "integer"}, Values: []string{"incoming", "outgoing", "template", "activity"},
			Meaning: "The direction: incoming, outgoing or template; in some places 0, 1 and 3.",
		},
		flag("private", "Whether the message is a note among agents."),
		timeMember("created_at", "When it was written: a time, or seconds since 1970."),
		textMember("source_id", "The id of the message at the channel."),
		openObject("additional_attributes", "Attributes of the channel."),
		named("account", "The account."),
		named("inbox", "The inbox."),
		{Name: "sender", Types: objectType(), Members: senderMembers(), Meaning: "Who wrote the message; null for what the vendor itself writes."},
		{Name: "conversation", Types: objectType(), Members: conversationMembers(), Meaning: "The conversation."},
		{Name: "attachments", Types: []string{"array"}, Members: attachmentMembers(), Meaning: "Files of the message."},
	}
}

// senderMembers are those of whoever it may be: a customer, an agent, a bot.
func senderMembers() []EventMember {
	return append(contactMembers(), senderType(), textMember("available_name", "The name that customers see."), textMember("avatar_url", "A picture."),
		textMember("availability_status", "online, busy or offline."))
}

func senderType() EventMember {
	return EventMember{
		Name: "type", Types: []string{"string"}, Values: []string{"user", "agent_bot", "contact"},
		Meaning: "user (a human agent) or agent_bot; customers have none, or contact.",
	}
}

func contactMembers() []EventMember {
	return []EventMember{
		idMember("id", "The person, or the bot."), textMember("name", "The name."), textMember("email", "The email address."),
		textMember("phone_number", "The phone number."), textMember("identifier", "The id of a contact in a system of the tenant's."),
		textMember("avatar", "A picture."), textMember("thumbnail", "A small picture."), flag("blocked", "Whether the contact is blocked."),
		openObject("additional_attributes", "Attributes of the channel."), openObject("custom_attributes", "Attributes of the tenant's own."),
		named("account", "The account."),
	}
}

func attachmentMembers() []EventMember {
	return []EventMember{
		idMember("id", "The file."), idMember("message_id", "The message."), idMember("account_id", "The account."),
		textMember("file_type", "image, audio, video, file, location and others."), textMember("data_url", "Where the file is."),
		textMember("thumb_url", "Where a small picture of it is."), textMember("extension", "The end of its name."),
		textMember("content_type", "Its media type."), number("file_size", "Its size in bytes."), number("width", "Of a picture."),
		number("height", "Of a picture."), number("coordinates_lat", "Of a place."), number("coordinates_long", "Of a place."),
		textMember("fallback_title", "Of what cannot be shown."), textMember("transcribed_text", "What is said in it."),
	}
}

func conversationMembers() []EventMember {
	return []EventMember{
		idMember("id", "The conversation."), idMember("inbox_id", "The inbox."),
		{Name: "status", Types: []string{"string"}, Values: []string{"open", "pending", "resolved", "snoozed"}, Meaning: "open, pending, resolved or snoozed."},
		textMember("channel", "The kind of channel."),
		flag("can_reply", "Whether the channel takes messages."),
		{Name: "messages", Types: []string{"array"}, Members: lastMessageMembers(), Meaning: "The last message, or none; not always the first one."},
		{Name: "meta", Types: objectType(), Members: metaMembers(), Meaning: "The contact, the agent and the team."},
		{Name: "contact_inbox", Types: objectType(), Members: contactInboxMembers(), Meaning: "The contact in this inbox."},
		{Name: "labels", Types: []string{"array"}, Meaning: "Labels."},
		{Name: "priority", Types: []string{"string"}, Values: []string{"low", "medium", "high", "urgent"}, Meaning: "low, medium, high or urgent."},
		number("unread_count", "How many messages nobody has read."),
		openObject("custom_attributes", "Attributes of the tenant's own."),
		openObject("additional_attributes", "Attributes of the channel."),
		timeMember("snoozed_until", "When it comes back."), timeMember("first_reply_created_at", "When it was answered first."),
		timeMember("waiting_since", "Since when the customer waits."), timeMember("agent_last_seen_at", "When an agent looked at it."),
		timeMember("contact_last_seen_at", "When the customer looked at it."), timeMember("last_activity_at", "When something happened last."),
		timeMember("timestamp", "The same."), timeMember("created_at", "When it began."), timeMember("updated_at", "When it changed."),
		named("account", "The account."),
	}
}

func metaMembers() []EventMember {
	return []EventMember{
		{Name: "sender", Types: objectType(), Members: senderMembers(), Meaning: "The contact."},
		{Name: "assignee", Types: objectType(), Members: senderMembers(), Meaning: "The agent who has it."},
		{Name: "assignee_type", Types: []string{"string"}, Values: []string{"User", "AgentBot"}, Meaning: "User or AgentBot."},
		openObject("team", "The team that has it."),
		flag("hmac_verified", "Whether the contact has proven who it is."),
	}
}

func contactInboxMembers() []EventMember {
	return []EventMember{
		idMember("id", "The contact in this inbox."), idMember("contact_id", "The contact."), idMember("inbox_id", "The inbox."),
		textMember("source_id", "The contact's id at its channel."), timeMember("created_at", "When it was made."),
		timeMember("updated_at", "When it changed."), flag("hmac_verified", "Whether the contact has proven who it is."),
		textMember("pubsub_token", "A secret of the contact's browser."),
	}
}

// lastMessageMembers are those of a message as the vendor's database has it, in which some things have another form than in events.
func lastMessageMembers() []EventMember {
	return []EventMember{
		idMember("id", "The message."), textMember("content", "The text."), idMember("account_id", "The account."),
		idMember("inbox_id", "The inbox."), idMember("conversation_id", "The conversation."),
		number("message_type", "0 incoming, 1 outgoing, 2 a note on what happened, 3 template."),
		timeMember("created_at", "When it was written."), timeMember("updated_at", "When it changed."),
		flag("private", "Whether the message is a note among agents."),
		{Name: "status", Types: []string{"string"}, Values: []string{"sent", "delivered", "read", "failed"}, Meaning: "sent, delivered, read or failed."},
		textMember("source_id", "The id of the message at the channel."), contentType(),
		openObject("content_attributes", "What the form of the content needs besides."),
		{Name: "sender_type", Types: []string{"string"}, Values: []string{"Contact", "User", "AgentBot"}, Meaning: "Contact, User or AgentBot."},
		idMember("sender_id", "Who wrote it."), openObject("external_source_ids", "Ids elsewhere."),
		openObject("additional_attributes", "Attributes of the channel."),
		textMember("processed_message_content", "The text, made ready for search."), openObject("sentiment", "What the vendor makes of its mood."),
		openObject("conversation", "A part of the conversation."),
		openObject("sender", "Who wrote it."), {Name: "attachments", Types: []string{"array"}, Meaning: "Files of the message."},
	}
}

func typingMembers() []EventMember {
	return []EventMember{
		{Name: "user", Types: objectType(), Members: senderMembers(), Meaning: "Who types."},
		{Name: "conversation", Types: objectType(), Members: conversationMembers(), Meaning: "The conversation."},
		flag("is_private", "Whether it will be a note among agents."),
	}
}

func widgetMembers() []EventMember {
	return []EventMember{
		idMember("id", "The contact in this inbox."),
		{Name: "contact", Types: objectType(), Members: contactMembers(), Meaning: "The contact."},
		named("inbox", "The inbox."), named("account", "The account."),
		{Name: "current_conversation", Types: objectType(), Members: conversationMembers(), Meaning: "The conversation, if there is one."},
		textMember("source_id", "The contact's id at its channel."),
		openObject("event_info", "The browser and its language."),
	}
}

func contentType() EventMember {
	return EventMember{
		Name: "content_type", Types: []string{"string"}, Meaning: "text, cards, form and others.",
		Values: []string{
			"text", "input_text", "input_textarea", "input_email", "input_select", "cards", "form", "article", "incoming_email", "input_csat",
			"integrations", "sticker", "voice_call",
		},
	}
}

func objectType() []string { return []string{"object"} }

// openObject is an object in which anything may be.
func openObject(name, meaning string) EventMember {
	return EventMember{Name: name, Types: objectType(), Meaning: meaning}
}

// named is an object with an id and a name.
func named(name, meaning string) EventMember {
	return EventMember{Name: name, Types: objectType(), Members: []EventMember{idMember("id", "Its id."), textMember("name", "Its name.")}, Meaning: meaning}
}

func idMember(name, meaning string) EventMember {
	return EventMember{Name: name, Types: []string{"integer", "string"}, Meaning: meaning}
}

func textMember(name, meaning string) EventMember {
	return EventMember{Name: name, Types: []string{"string"}, Meaning: meaning}
}

func number(name, meaning string) EventMember {
	return EventMember{Name: name, Types: []string{"integer", "number"}, Meaning: meaning}
}

func flag(name, meaning string) EventMember {
	return EventMember{Name: name, Types: []string{"boolean"}, Meaning: meaning}
}

// timeMember has several forms: a time, or seconds since 1970 with or without a fraction.
func timeMember(name, meaning string) EventMember {
	return EventMember{Name: name, Types: []string{"string", "integer", "number"}, Meaning: meaning}
}
