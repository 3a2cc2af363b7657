package schema

// Parts returns what occurs in several events, by name: schemas that hold nothing but members. Documents refer to them instead of repeating them.
func Parts() map[string]Schema {
	parts := map[string]Schema{}
	for name, members := range map[string][]EventMember{
		"contact":      contactMembers(),
		"conversation": conversationMembers(),
		"message":      messageMembers(),
		"named":        named("", "").Members,
		"person":       senderMembers(),
	} {
		parts["part."+name] = Schema{"properties": open(members)["properties"]}
	}
	return parts
}
