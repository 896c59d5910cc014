/// What an exploration found.
public struct ExplorationResult: Sendable {
    /// The kind.
    public var kind: ExplorationKind
    /// The most moves of a path.
    public var depth: Int
    /// Different worlds.
    public var states = 0
    /// Moves made and looked at: from each world above the depth, each that there is.
    public var transitions = 0
    /// Whether all paths were tried: not, when there were too many worlds to remember.
    public var isComplete = true
    /// What does not hold, shortest paths first within a scene.
    public var violations: [Violation] = []
    /// What was explored, with its figures.
    public var scenes: [SceneFigures] = []
}

/// The figures of one scene.
public struct SceneFigures: Sendable {
    /// The scene's name.
    public var name: String
    /// Different worlds.
    public var states: Int
    /// Moves made.
    public var transitions: Int
    /// What does not hold.
    public var violations: Int
}

/// Tries every order in which packets are delivered, doubled, lost or held past a timer, and programs act, on the real
/// engine.
public struct Exploration: Sendable {
    /// What is explored.
    public var kind: ExplorationKind
    /// The most moves of a path.
    public var depth: Int
    /// What the stacks' secrets are drawn from.
    public var seed: UInt64

    /// Prepares an exploration. `depth` is at least 1; without one it is the kind's own.
    public init(_ kind: ExplorationKind, depth: Int? = nil, seed: UInt64 = 1) {
        self.kind = kind
        self.depth = max(1, depth ?? kind.defaultDepth)
        self.seed = seed
    }

    /// Runs it. `progress` is called now and then with the scene at hand, and the states and transitions so far.
    public func run(progress: (String, Int, Int) -> Void = { _, _, _ in }) -> ExplorationResult {
        var result = ExplorationResult(kind: kind, depth: depth)
        for scene in kind.scenes {
            var explorer = SceneExplorer(scene, depth: depth + scene.extraDepth, seed: seed)
            let (states, transitions) = (result.states, result.transitions)
            explorer.run { progress(scene.name, states + $0, transitions + $1) }
            result.states += explorer.stateCount
            result.transitions += explorer.transitionCount
            result.violations += explorer.violations
            result.isComplete = result.isComplete && explorer.isComplete
            result.scenes.append(
                SceneFigures(
                    name: scene.name, states: explorer.stateCount, transitions: explorer.transitionCount,
                    violations: explorer.violations.count))
        }
        return result
    }
}
