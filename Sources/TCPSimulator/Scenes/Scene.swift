public import TCPTrace
internal import TCPEngine
internal import TCPWire

/// Something that ought to be so, and whether it was.
public struct SceneCheck: Sendable, Hashable {
    /// What ought to be so.
    public var claim: Phrase
    /// Whether it was.
    public var holds: Bool

    /// Makes a check.
    public init(_ english: String, _ chinese: String, _ holds: Bool) {
        claim = Phrase(english, chinese)
        self.holds = holds
    }
}

/// A stretch of a scene that is drawn as one ladder.
public struct ScenePart: Sendable {
    /// A heading; `nil` when there is only one part.
    public var heading: Phrase?
    /// What happened.
    public var trace: Trace
    /// The end to draw on the left.
    public var left: String
    /// The end to draw on the right.
    public var right: String

    /// Makes a part.
    public init(_ trace: Trace, heading: Phrase? = nil, left: String = "client", right: String = "server") {
        self.trace = trace
        self.heading = heading
        self.left = left
        self.right = right
    }
}

/// What a scene came to.
public struct SceneOutcome: Sendable {
    /// What happened.
    public var parts: [ScenePart]
    /// What ought to be so.
    public var checks: [SceneCheck]
    /// Octets that programs read.
    public var delivered: Int
    /// Whether each octet read was the one sent, and whatever was to arrive in full did.
    public var isIntact: Bool

    /// Makes an outcome.
    public init(parts: [ScenePart], checks: [SceneCheck], delivered: Int = 0, isIntact: Bool = true) {
        self.parts = parts
        self.checks = checks
        self.delivered = delivered
        self.isIntact = isIntact
    }

    /// Whether every check holds.
    public var holds: Bool { checks.allSatisfy(\.holds) }
    /// The first part's trace.
    public var trace: Trace { parts[0].trace }
}

/// How to play a scene.
public struct SceneOptions: Sendable {
    /// What chance, the hosts' first sequence numbers among it, comes from.
    public var seed: UInt64
    /// Whether the hosts speak IPv6.
    public var ipv6: Bool

    /// Makes options.
    public init(seed: UInt64 = 1, ipv6: Bool = false) {
        self.seed = seed
        self.ipv6 = ipv6
    }
}

/// One situation in the life of TCP connections, played by real stacks over a simulated network.
public struct Scene: Sendable {
    /// What to call it on the command line.
    public var name: String
    /// Its number: S1…S16, variants with a letter.
    public var number: String
    /// What it is about, in a few words.
    public var title: Phrase
    /// What to look out for.
    public var introduction: Phrase
    /// The claims of `docs/claims.md` that it shows.
    public var claims: [Int]
    /// Plays it.
    public var play: @Sendable (SceneOptions) -> SceneOutcome

    init(
        _ name: String, _ number: String, title: Phrase, introduction: Phrase, claims: [Int],
        play: @escaping @Sendable (SceneOptions) -> SceneOutcome
    ) {
        self.name = name
        self.number = number
        self.title = title
        self.introduction = introduction
        self.claims = claims
        self.play = play
    }

    /// All scenes in order.
    public static let all: [Scene] =
        openingScenes + closingScenes + lostOpeningScenes + staleScenes + timeWaitScenes + simultaneousScenes
        + resetScenes + resourceScenes + transferScenes

    /// The scene of that name or number.
    public static func named(_ name: String) -> Scene? {
        all.first { $0.name == name || $0.number.lowercased() == name.lowercased() }
    }
}
