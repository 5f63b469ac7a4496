"""The Star Wars schema that GraphQL's own examples use, in SDL, and documents for it."""

from __future__ import annotations

STAR_WARS = '''
"""The parts of the saga that the people here appear in"""
enum Episode { NEW_HOPE EMPIRE JEDI }

enum LengthUnit { METER FOOT @deprecated(reason: "ask for METER") }

scalar Date @specifiedBy(url: "https://tc39.es/ecma262/#sec-date-time-string-format")

interface Node { id: ID! }

interface Character implements Node {
  id: ID!
  name: String!
  friends: [Character]
  friendsConnection(first: Int = 10, after: ID): FriendsConnection!
  appearsIn: [Episode!]!
}

type Human implements Character & Node {
  id: ID!
  name: String!
  friends: [Character]
  friendsConnection(first: Int = 10, after: ID): FriendsConnection!
  appearsIn: [Episode!]!
  homePlanet: String
  height(unit: LengthUnit = METER): Float
  born: Date
  starships: [Starship!]
}

type Droid implements Character & Node {
  id: ID!
  name: String!
  friends: [Character]
  friendsConnection(first: Int = 10, after: ID): FriendsConnection!
  appearsIn: [Episode!]!
  primaryFunction: String
}

type Starship implements Node {
  id: ID!
  name: String!
  length(unit: LengthUnit = METER): Float
  coordinates: [[Float!]!]
}

type FriendsConnection {
  totalCount: Int!
  edges: [FriendsEdge!]!
  pageInfo: PageInfo!
}

type FriendsEdge { cursor: ID! node: Character }

type PageInfo { startCursor: ID endCursor: ID hasNextPage: Boolean! }

type Review { episode: Episode stars: Int! commentary: String written: Date }

input ColorInput { red: Int! = 0 green: Int! = 0 blue: Int! = 0 }

input ReviewInput {
  stars: Int!
  commentary: String
  favoriteColor: ColorInput = { red: 255 }
  written: Date
}

union SearchResult = Human | Droid | Starship

type Query {
  hero(episode: Episode): Character
  reviews(episode: Episode!, since: Date): [Review!]
  search(text: String!): [SearchResult!]
  character(id: ID!): Character
  human(id: ID!): Human
  droid(id: ID!): Droid
  starship(id: ID!): Starship
}

type Mutation {
  createReview(episode: Episode, review: ReviewInput!): Review
}

type Subscription {
  reviewAdded(episode: Episode): Review
}
'''

#: Each fits the schema.
VALID = {
    "hero": "{ hero { name appearsIn } }",
    "arguments": """
        query ($e: Episode = JEDI) {
          hero(episode: $e) { ... on Human { height(unit: FOOT) } }
        }
    """,
    "fragments": """
        query ($first: Int!) {
          human(id: "1000") { ...friends }
        }
        fragment friends on Character {
          friendsConnection(first: $first) { totalCount edges { node { ...names } } }
        }
        fragment names on Character { name }
    """,
    "union": '{ search(text: "an") { __typename ... on Human { name } ... on Droid { name } } }',
    "directives": """
        query ($more: Boolean!) {
          hero { id name @include(if: $more) friends @skip(if: $more) { id } }
        }
    """,
    "mutation": """
        mutation ($r: ReviewInput!) {
          createReview(episode: EMPIRE, review: $r) { stars written }
        }
    """,
    "inputs": """
        mutation { createReview(review: { stars: 5, favoriteColor: { blue: 3 } }) { stars } }
    """,
    "subscription": "subscription { reviewAdded(episode: NEW_HOPE) { stars commentary } }",
    "introspection": '{ __schema { types { name } } __type(name: "Human") { kind } }',
}

#: Each has exactly the errors listed, as (line, column, some words of the message).
INVALID = {
    "field": ("{ hero { nam } }", [(1, 10, "Cannot query field 'nam'")]),
    "every mistake": (
        """query ($id: Text!) {
  hero(part: 4) { name }
  human(id: $id) { species }
  droid { id }
}""",
        [
            (1, 13, "Unknown type 'Text'"),
            (2, 8, "Unknown argument 'part'"),
            (3, 20, "Cannot query field 'species'"),
            (4, 3, "'Query.droid(id:)' of type 'ID!' is required"),
        ],
    ),
    "enum member": (
        "{ hero(episode: CLONES) { id } }",
        [(1, 17, "'CLONES' does not exist in 'Episode'")],
    ),
    "leaf": ("{ hero { id { x } } }", [(1, 13, "must not have a selection")]),
    "no selection": ("{ hero }", [(1, 3, "must have a selection of subfields")]),
    "variable's type": (
        "query ($id: String) { human(id: $id) { id } }",
        [(1, 8, "'$id' of type 'String'")],
    ),
    "input field": (
        'mutation { createReview(review: { commentary: "good" }) { stars } }',
        [(1, 33, "to include required field 'stars'")],
    ),
    "fragment": (
        "{ starship(id: 1) { ... on Droid { id } } }",
        [(1, 21, "can never be of type 'Droid'")],
    ),
    "two roots": (
        "subscription { reviewAdded { stars } other: reviewAdded { stars } }",
        [(1, 38, "must select only one top level field")],
    ),
    "directive": ("{ hero { id @live } }", [(1, 13, "Unknown directive '@live'")]),
}
