"""What gql's page on its DSL builds, section by section. No schema is needed for any of it.

``python -m examples.from_gql.dsl`` prints all documents.
"""

from __future__ import annotations

from typing import Any

from anygql import GraphQLRequest
from anygql.dsl import directive, field, fragment, mutation, on, query, select, subscription, var

__all__ = ["EXAMPLES"]

appearances = fragment("NameAndAppearances", "Character", "name", "appearsIn")
info = fragment("CharacterInfo", "Character", "name", "appearsIn").directives(
    directive("customFragmentDefinitionDirective")
)
episode = var("Episode", default="JEDI")

#: The request of each section.
EXAMPLES: dict[str, GraphQLRequest[Any]] = {
    "How to use": select(query("hero", {}, "id", "name", field("friends", {}, "name"))),
    "Arguments": select(query("human", {"id": var("ID!", default="1000")}, "name")),
    "Aliases": select(
        query(field("human", {"id": var("ID!", default="1000")}, "name").alias("luke"))
    ),
    "Aliases of a selection": select(query("hero", {}, field("name").alias("my_name"))),
    "Mutations": select(
        mutation(
            "createReview",
            {
                "episode": var("Episode", default="JEDI"),
                "review": var("ReviewInput", default={"stars": 5, "commentary": "Great!"}),
            },
            "stars",
            "commentary",
        )
    ),
    "Variable arguments": select(
        mutation(
            "createReview",
            {"review": var("ReviewInput"), "episode": var("Episode")},
            "stars",
            "commentary",
        )
    ),
    "Subscriptions": select(
        subscription("reviewAdded", {"episode": episode}, "stars", "commentary")
    ),
    "Multiple fields": select(
        query(
            field("hero", {}, "name"),
            field("hero", {"episode": episode}, "name").alias("hero_of_episode_5"),
        )
    ),
    "Operation name": select(query("hero", {}, "name").named("GetHeroName")),
    "Multiple operations": select(
        query("hero", {}, "name").named("One"), query("hero", {}, "id").named("Two")
    ),
    "Fragments": select(query("hero", {}, appearances)),
    "Inline fragments": select(
        query("hero", {"episode": episode}, "name", on("Human", "homePlanet"))
    ),
    "Meta-fields": select(query("hero", {}, "name", "__typename")),
    "Directives": select(query("hero", {}, field("name").skip(True))),
    "Operation directives": select(
        query("hero", {}, "name").directives(directive("customQueryDirective"))
    ),
    "Field directives": select(
        query(
            "hero",
            {},
            field("appearsIn").directives(
                directive("repeat", {"value": var("first", "String!", default="first")}),
                directive("repeat", {"value": var("second", "String!", default="second")}),
            ),
        )
    ),
    "Fragment directives": select(
        query("hero", {}, info).named("BaseQuery"),
        query(
            "hero", {}, info.spread().directives(directive("customFragmentSpreadDirective"))
        ).named("QueryWithDirective"),
    ),
    "Inline fragment directives": select(
        query(
            "hero",
            {"episode": episode},
            "name",
            on("Human", "homePlanet").directives(directive("customInlineFragmentDirective")),
        )
    ),
    "Variable definition directives": select(
        query(
            "hero",
            {"episode": var("Episode").directives(directive("customVariableDirective"))},
            "name",
        )
    ),
}

if __name__ == "__main__":
    for section, request in EXAMPLES.items():
        print(f"# {section}\n{request.text}\n")
