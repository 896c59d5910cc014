internal import TCPEngine
internal import TCPStack
internal import TCPTrace

/// Explores a scene breadth first, so that the first violation found is one of the shortest. A world is made by playing
/// the moves that lead to it from the beginning, on stacks as they are made for anyone.
package struct SceneExplorer {
    package let scene: Scene
    package let depth: Int
    package let seed: UInt64
    var fault: PlantedFault?
    /// Whether worlds that were seen before are known again.
    package var remembers = true
    /// One in that many worlds that were seen before is compared with the first of its kind, move by move; zero is none.
    package var auditInterval = 0
    /// Violations after which it ends.
    package var violationLimit = 10
    /// Worlds after which it ends, however deep it has come: 16 million take about a gigabyte.
    package var stateLimit = 16_000_000
    /// Whether it came to the end of all paths.
    package private(set) var isComplete = true

    package private(set) var stateCount = 0
    package private(set) var transitionCount = 0
    /// Worlds at the last depth.
    package private(set) var frontierCount = 0
    /// Pairs of worlds with one fingerprint that were compared.
    package private(set) var auditCount = 0
    /// Pairs that turned out not to be the same.
    package private(set) var auditFailures: [String] = []
    package private(set) var violations: [Violation] = []
    /// What the programs can have seen in the end, if asked for.
    package private(set) var outcomes: Set<String> = []
    package var collectsOutcomes = false

    private var settled = FingerprintSet()

    package init(_ scene: Scene, depth: Int, seed: UInt64 = 1, fault: PlantedFault? = nil) {
        self.scene = scene
        self.depth = depth
        self.seed = seed
        self.fault = fault
    }

    /// The same, not run yet.
    package func fresh() -> SceneExplorer {
        var other = SceneExplorer(scene, depth: depth, seed: seed, fault: fault)
        other.collectsOutcomes = collectsOutcomes
        return other
    }

    /// Runs to the end. `progress` is called now and then with the states and transitions so far.
    package mutating func run(progress: (Int, Int) -> Void = { _, _ in }) {
        var table = StateTable()
        let first = world()
        examine(first, path: [])
        let start = table.insert(first.fingerprint(), parent: 0, move: .lose(0))
        guard start != nil, violations.isEmpty else { return }
        var level = [0]
        for _ in 0..<depth {
            var next: [Int] = []
            for number in level {
                expand(number, &table, &next, progress)
                isComplete = table.count < stateLimit && settled.count < 2 * stateLimit
                if violations.count >= violationLimit || !isComplete { break }
            }
            level = next
            if violations.count >= violationLimit || !isComplete { break }
        }
        frontierCount = level.count
        stateCount = table.count
    }

    private func world() -> World { World(scene, seed: seed, fault: fault) }

    private func replay(_ path: [Move]) -> World {
        let world = world()
        for move in path { world.make(move) }
        return world
    }

    private mutating func expand(
        _ number: Int, _ table: inout StateTable, _ next: inout [Int], _ progress: (Int, Int) -> Void
    ) {
        let path = table.path(to: number)
        var world = replay(path)
        let moves = world.moves()
        for (index, move) in moves.enumerated() {
            if index > 0 { world = replay(path) }
            world.make(move)
            transitionCount += 1
            if transitionCount & 0xFFFF == 0 { progress(table.count, transitionCount) }
            let fingerprint = world.fingerprint()
            if remembers, let known = table.find(fingerprint) {
                audit(known, path + [move], table)
                continue
            }
            let key = remembers ? fingerprint : Fingerprint(low: UInt64(table.count), high: fingerprint.high)
            guard let number = table.insert(key, parent: number, move: move) else { continue }
            if collectsOutcomes { outcomes.insert(world.outcome) }
            let before = violations.count
            examine(world, path: path + [move])
            if violations.count == before { next.append(number) }
        }
    }

    /// Checks a world and its fair end; the world is used up.
    private mutating func examine(_ world: World, path: [Move]) {
        var passed: [Fingerprint] = []
        var settled = FingerprintSet()
        swap(&settled, &self.settled)
        let isFirst = world.finding == nil
        world.runFairly { fingerprint in
            if settled.contains(fingerprint) { return true }
            passed.append(fingerprint)
            return false
        }
        if let finding = world.finding {
            violations.append(
                Violation(scene: scene, seed: seed, fault: fault, path: path, finding: finding, isInFairRun: isFirst))
        } else {
            for fingerprint in passed { settled.insert(fingerprint) }
        }
        swap(&settled, &self.settled)
    }

    /// Two worlds with one fingerprint must have the same moves, and the same worlds after each: a field that the
    /// fingerprint forgets would sooner or later tell them apart.
    private mutating func audit(_ known: Int, _ path: [Move], _ table: StateTable) {
        guard auditInterval > 0, transitionCount % auditInterval == 0 else { return }
        auditCount += 1
        let other = table.path(to: known)
        guard other != path else { return }
        let (first, second) = (successors(other), successors(path))
        guard Set(first.keys) != Set(second.keys) else { return }
        let moves = first.filter { second[$0.key] == nil }.map(\.value)
        auditFailures.append("\(other) and \(path) differ after \(moves)")
    }

    private func successors(_ path: [Move]) -> [Fingerprint: Move] {
        var result: [Fingerprint: Move] = [:]
        for move in replay(path).moves() {
            let world = replay(path)
            world.make(move)
            result[world.fingerprint()] = move
        }
        return result
    }
}

extension World {
    /// What the programs and a look at both ends can tell of a world.
    var outcome: String {
        hosts.map { host in
            let states = host.stack.inspect().map { "\($0.state)" }.joined(separator: "+")
            let lives = host.lives.map {
                "\($0.written)/\($0.read)\($0.isClosed ? "c" : "")\($0.sawEnd ? "e" : "")\($0.error.map { "\($0)" } ?? "")"
            }
            return "\(states) \(lives.joined(separator: ","))"
        }.joined(separator: " | ") + " \(flight.count)"
    }
}
