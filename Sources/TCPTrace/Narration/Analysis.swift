internal import TCPEngine
internal import TCPWire

/// Reads a trace from the beginning to the end, and finds for each segment and each change of state why it came about. It
/// knows nothing but what was observed.
struct Analysis {
    private(set) var facts: [SegmentFacts?]
    private(set) var items: [LadderItem] = []

    private let trace: Trace
    private var halves: [FlowKey: FlowHalf] = [:]
    private var states: [StateKey: (state: State, since: Instant)] = [:]
    private var listeners: Set<ListenerKey> = []
    private var lastActions: [String: ApplicationAction] = [:]
    /// Where each segment stands in `items`.
    private var places: [Int: Int] = [:]
    /// Changes that wait for the segment they announce: their places in `items`.
    private var announcements: [(place: Int, change: TracedStateChange)] = []
    /// The segment that arrived last at each end, while nothing else has happened there.
    private var freshArrivals: [String: (segment: Int, time: Instant)] = [:]
    private var removed: Set<Int> = []

    private struct StateKey: Hashable {
        var end: String
        var local: Endpoint
        var remote: Endpoint
    }

    private struct ListenerKey: Hashable {
        var end: String
        var port: UInt16
    }

    init(_ trace: Trace) {
        self.trace = trace
        facts = Array(repeating: nil, count: trace.segments.count)
        for event in trace.events {
            switch event {
            case .sent(let index): sent(index)
            case .arrived(let index): arrived(index)
            case .state(let change): changed(change)
            case .action(let action): acted(action)
            }
        }
        let removed = self.removed
        items = items.enumerated().filter { !removed.contains($0.offset) }.map(\.element)
    }

    // MARK: States

    /// The state of `end` for the connection; LISTEN or CLOSED when it knows none.
    private func state(_ end: String, _ local: Endpoint, _ remote: Endpoint) -> State {
        if let known = states[StateKey(end: end, local: local, remote: remote)] { return known.state }
        return listeners.contains(ListenerKey(end: end, port: local.port)) ? .listen : .closed
    }

    private mutating func changed(_ change: TracedStateChange) {
        let listener = ListenerKey(end: change.end, port: change.local.port)
        if change.remote.port == 0 {
            if change.to == .listen { listeners.insert(listener) } else { listeners.remove(listener) }
            append(change, .itself, lasted: .zero)
            return
        }
        let key = StateKey(end: change.end, local: change.local, remote: change.remote)
        let lasted = states[key].map { change.time - $0.since } ?? .zero
        states[key] = change.to == .closed || change.to == .listen ? nil : (change.to, change.time)
        switch change.to {
        case .synSent, .finWait1, .lastAck:
            // These come with a SYN or a FIN of this end's own, which follows.
            append(change, .itself, lasted: lasted)
            announcements.append((items.count - 1, change))
        default:
            guard let fresh = freshArrivals[change.end], fresh.time == change.time,
                trace.segments[fresh.segment].destination == change.local,
                trace.segments[fresh.segment].source == change.remote, let place = places[fresh.segment],
                case .segment(let index, let sender, var receiver) = items[place]
            else { return append(change, .itself, lasted: lasted) }
            guard !isOvertaken(index) else { return append(change, .arrival(index), lasted: lasted) }
            receiver.append(changeFacts(change, .arrival(index), lasted: lasted))
            items[place] = .segment(index, sender: sender, receiver: receiver)
            self.facts[index]?.receiverState = change.to
        }
    }

    /// Whether a segment that left later, in the same direction, arrived earlier.
    func isOvertaken(_ index: Int) -> Bool {
        let segment = trace.segments[index]
        guard let arrival = segment.arrival else { return false }
        return trace.segments.contains {
            $0.to == segment.to && ($0.sent > segment.sent || $0.number > segment.number && $0.origin != .copy)
                && ($0.arrival ?? .distantFuture) < arrival
        }
    }

    private func changeFacts(
        _ change: TracedStateChange, _ cause: ChangeCause, lasted: Duration
    ) -> ChangeFacts {
        ChangeFacts(
            change: change, cause: cause, lasted: lasted, lastAction: lastActions[change.end],
            listenerStays: listeners.contains(ListenerKey(end: change.end, port: change.local.port)))
    }

    private mutating func append(_ change: TracedStateChange, _ cause: ChangeCause, lasted: Duration) {
        items.append(.change(changeFacts(change, cause, lasted: lasted)))
    }

    private mutating func acted(_ action: TracedAction) {
        lastActions[action.end] = action.action
        items.append(.action(action))
        if case .crash = action.action {
            for key in states.keys where key.end == action.end { states[key] = nil }
            listeners = listeners.filter { $0.end != action.end }
        }
    }

    // MARK: Segments

    private mutating func arrived(_ index: Int) {
        let segment = trace.segments[index]
        freshArrivals[segment.to] = (index, segment.arrival ?? segment.sent)
        let receiverState = state(segment.to, segment.destination, segment.source)
        facts[index]?.receiverState = receiverState
        let key = FlowKey(source: segment.destination, destination: segment.source)
        halves[key, default: FlowHalf()].lastArrival = index
        guard segment.header.flags.contains(.ack), let half = halves[key] else { return }
        if let finEnd = half.finEnd, segment.header.acknowledgment == finEnd {
            halves[key.reversed, default: FlowHalf()].finAcksDelivered += 1
        }
    }

    private mutating func sent(_ index: Int) {
        let segment = trace.segments[index]
        let key = FlowKey(source: segment.source, destination: segment.destination)
        var result = SegmentFacts(meaning: .data)
        result.senderState = state(segment.from, segment.source, segment.destination)
        startFlow(segment, key)
        var half = halves[key] ?? FlowHalf()
        let peer = halves[key.reversed] ?? FlowHalf()
        // A number counts from the beginning only if it can belong to this connection: up to what was sent, and for what
        // was sent by somebody else, up to a window further.
        result.relativeSequence = Analysis.relative(segment.header.sequence, half, beyond: 1 << 21)
        if segment.header.flags.contains(.ack) {
            result.relativeAcknowledgment = Analysis.relative(segment.header.acknowledgment, peer, beyond: 0)
        }
        result.window = Int(segment.header.window) << (segment.header.flags.contains(.syn) ? 0 : half.scale)
        if let last = half.lastArrival, trace.segments[last].arrival == segment.sent { result.answers = last }
        if segment.origin == .host {
            (result.repetitions, result.elapsed) = half.count(segment)
            if let before = half.acknowledged, segment.header.flags.contains(.ack) {
                result.acknowledged = max(0, segment.header.acknowledgment.distance(from: before))
            }
        }
        result.repeatsOctets = half.next.map { segment.header.sequence < $0 } ?? false
        result.meaning = meaning(of: segment, result, half, peer)
        if segment.origin != .copy { remember(segment, result, &half, peer) }
        halves[key] = half
        facts[index] = result
        places[index] = items.count
        items.append(.segment(index, sender: announced(by: segment, index), receiver: []))
    }

    private static func relative(_ number: SequenceNumber, _ half: FlowHalf, beyond: Int) -> Int? {
        guard let initial = half.initial else { return nil }
        let distance = Int(number - initial)
        return distance <= half.octets + beyond ? distance : nil
    }

    /// A SYN with another ISS is the beginning of another connection between the same endpoints.
    private mutating func startFlow(_ segment: TracedSegment, _ key: FlowKey) {
        guard segment.header.flags.contains(.syn), segment.origin != .copy else { return }
        let known = halves[key]?.initial
        guard known != segment.header.sequence else { return }
        if segment.origin == .injected, known != nil { return }
        var fresh = FlowHalf()
        fresh.initial = segment.header.sequence
        fresh.lastArrival = halves[key]?.lastArrival
        fresh.isReused = known != nil
        halves[key] = fresh
    }

    private func remember(
        _ segment: TracedSegment, _ result: SegmentFacts, _ half: inout FlowHalf, _ peer: FlowHalf
    ) {
        let flags = segment.header.flags
        guard segment.origin == .host, !flags.contains(.rst) else { return }
        let end = segment.sequenceEnd
        let advance = half.next.map { end.distance(from: $0) } ?? segment.sequenceLength
        half.octets += max(0, advance)
        half.next = half.next.map { SequenceNumber.later($0, end) } ?? end
        if flags.contains(.fin) { half.finEnd = end }
        if flags.contains(.ack) {
            half.acknowledged =
                half.acknowledged.map { SequenceNumber.later($0, segment.header.acknowledgment) }
                ?? segment.header.acknowledgment
            if let finEnd = peer.finEnd, segment.header.acknowledgment == finEnd { half.finAcksSent += 1 }
        }
        if flags.contains(.syn) { half.offeredScale = segment.header.options.windowScale.map { Int(min($0, 14)) } }
        if let offered = half.offeredScale, peer.offeredScale != nil || !flags.contains(.syn) { half.scale = offered }
        half.window = result.window
        if flags.contains(.syn), !flags.contains(.ack) { half.sentPlainSYN = true }
        if result.meaning == .handshakeAck || result.meaning == .dataFinishingHandshake {
            half.handshakeAcks += 1
            half.handshakeAckLost = !segment.isDelivered
        }
    }

    /// The changes that this segment's SYN or FIN brought at its sender.
    private mutating func announced(by segment: TracedSegment, _ index: Int) -> [ChangeFacts] {
        var found: [ChangeFacts] = []
        announcements.removeAll { place, change in
            guard change.end == segment.from, change.local == segment.source, change.remote == segment.destination,
                change.time == segment.sent,
                segment.header.flags.contains(change.to == .synSent ? .syn : .fin),
                case .change(var facts) = items[place]
            else { return false }
            facts.cause = .sending(index)
            found.append(facts)
            removed.insert(place)
            return true
        }
        return found
    }

    /// The segment at `index`.
    func segment(_ index: Int) -> TracedSegment { trace.segments[index] }

    private func meaning(
        of segment: TracedSegment, _ facts: SegmentFacts, _ half: FlowHalf, _ peer: FlowHalf
    ) -> SegmentMeaning {
        if segment.origin == .copy { return .copy }
        let answered = facts.answers.map { trace.segments[$0] }
        return Classifier(
            segment: segment, facts: facts, half: half, peer: peer, answered: answered,
            lastAction: lastActions[segment.from]
        ).meaning
    }
}
