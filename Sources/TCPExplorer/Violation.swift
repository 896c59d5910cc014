internal import TCPEngine
public import TCPTrace
internal import TCPWire

/// A path to a world where something does not hold.
public struct Violation: Sendable {
    package var scene: Scene
    package var seed: UInt64
    package var fault: PlantedFault?
    package var path: [Move]
    package var finding: Finding
    /// Whether it shows only after the path, on the way to the end over a fair network.
    package var isInFairRun: Bool

    /// The rule's name.
    public var rule: String { finding.rule.rawValue }

    /// What was seen, in a sentence.
    public var explanation: String { finding.text }

    /// The scene's name.
    public var sceneName: String { scene.name }

    /// The path played once more, taken down; with the fair end if it is needed to show what is wrong.
    public func trace() -> Trace { trace(stepNanoseconds: 1_000_000) }

    /// Each move is drawn `stepNanoseconds` after the one before.
    func trace(stepNanoseconds: Int64) -> Trace {
        let recorder = Recorder(stepNanoseconds: stepNanoseconds)
        let world = World(scene, seed: seed, fault: fault, recorder: recorder)
        for move in path { world.make(move) }
        if isInFairRun {
            recorder.moves += 1
            world.runFairly { _ in
                recorder.moves += 1
                return false
            }
        }
        return recorder.trace
    }

    /// The path in words, one line a step.
    public func steps() -> [String] {
        let world = World(scene, seed: seed, fault: fault)
        var result = path.map { move in
            let text = world.words(for: move)
            world.make(move)
            return text
        }
        guard isInFairRun else { return result }
        world.narration = []
        world.runFairly { _ in false }
        result += (world.narration ?? []).map { "over a fair network: \($0)" }
        return result
    }
}

extension World {
    func words(for move: Move) -> String {
        switch move {
        case .deliver(let index): "\(words(for: flight[index])) arrives"
        case .deliverCopy(let index): "\(words(for: flight[index])) arrives, and a copy stays on its way"
        case .lose(let index): "\(words(for: flight[index])) is lost"
        case .timer(let end): "the \(Host.name(end))'s next timer fires; what is on its way is held past it"
        case .act(let end):
            switch scene.programmes[end].steps[hosts[end].position] {
            case .open: "the \(Host.name(end)) opens"
            case .write(let count): "the \(Host.name(end)) writes \(count) octets"
            case .close: "the \(Host.name(end)) closes"
            }
        case .abort(let end): "the \(Host.name(end)) aborts"
        }
    }

    private func words(for packet: InFlight) -> String {
        guard let header = packet.header else { return "a packet" }
        let length = packet.bytes.count - InFlight.networkHeader - header.headerLength
        let flags = header.flags.names.joined(separator: ",")
        return "the \(Host.name(1 - packet.destination))'s <\(flags)>"
            + " seq \(relative(header.sequence, 1 - packet.destination))"
            + (header.flags.contains(.ack) ? " ack \(relative(header.acknowledgment, packet.destination))" : "")
            + (length > 0 ? " with \(length) octets" : "")
    }

    /// A number counted from the latest ISN of that end.
    private func relative(_ number: SequenceNumber, _ end: Int) -> UInt32 {
        number - (bases[end].first ?? SequenceNumber(0))
    }
}
