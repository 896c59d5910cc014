internal import TCPEngine
internal import TCPTrace
internal import TCPWire

extension Violation {
    /// The path as a packet script of the end where something does not hold: what arrives there, what its program does, and
    /// what it sends, in the packetdrill language, each line's time counted from the line before.
    public func script() -> [String] {
        let trace = self.trace(stepNanoseconds: 0)
        var writer = ScriptWriter(end: Host.name(finding.end), isOpening: isOpening)
        writer.lines = [
            "// \(finding.text)",
            "// Rule '\(finding.rule.rawValue)', in '\(scene.name)': what the \(Host.name(finding.end)) receives, does and sends.",
        ]
        writer.lines += steps().enumerated().map { "//   \($0.offset + 1). \($0.element)" }
        writer.lines += ["--tolerance_usecs=1000", ""]
        writer.lines += writer.opening
        for event in trace.events { writer.add(event, trace) }
        return writer.lines
    }

    /// Whether the end's program opens actively.
    private var isOpening: Bool {
        switch scene.prelude {
        case .idle: true
        case .listening, .established, .earlier: finding.end == 0
        }
    }
}

/// Writes one end's part of a trace in the packetdrill language.
struct ScriptWriter {
    let end: String
    let isOpening: Bool
    var lines: [String] = []
    private var time = Instant.zero
    /// What sequence numbers are counted from: the last SYN this end sent, and the first that came.
    private var local: SequenceNumber?
    private var remote: SequenceNumber?
    /// What timestamps are counted from.
    private var localClock: UInt32?
    private var remoteClock: UInt32?
    private var descriptor = 3

    init(end: String, isOpening: Bool) {
        self.end = end
        self.isOpening = isOpening
    }

    /// The calls before anything happens.
    var opening: [String] {
        let socket = "0.000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3"
        if isOpening { return [socket, "+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0"] }
        return [
            socket, "+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0", "+0 bind(3, ..., ...) = 0",
            "+0 listen(3, 1) = 0",
        ]
    }

    mutating func add(_ event: TraceEvent, _ trace: Trace) {
        switch event {
        case .sent(let index):
            let segment = trace.segments[index]
            guard segment.from == end, segment.origin == .host else { return }
            if segment.header.flags.contains(.syn) { local = segment.header.sequence }
            if localClock == nil { localClock = segment.header.options.timestamps?.value }
            let line = text(
                segment, own: local, other: remote, clock: localClock, otherClock: remoteClock)
            add("> \(line)", at: segment.sent)
        case .arrived(let index):
            let segment = trace.segments[index]
            guard segment.to == end else { return }
            if segment.header.flags.contains(.syn), remote == nil { remote = segment.header.sequence }
            if remoteClock == nil { remoteClock = segment.header.options.timestamps?.value }
            let line = text(
                segment, own: remote, other: local, clock: remoteClock, otherClock: localClock)
            add("< \(line)", at: segment.arrival ?? segment.sent)
        case .action(let action): if action.end == end { add(action) }
        case .state: break
        }
    }

    private mutating func add(_ line: String, at instant: Instant) {
        let passed = instant.nanoseconds - time.nanoseconds
        time = instant
        lines.append("+\(passed == 0 ? "0" : NumberText.seconds(passed)) \(line)")
    }

    private mutating func add(_ action: TracedAction) {
        for line in calls(for: action.action) { add(line, at: action.time) }
    }

    private mutating func calls(for action: ApplicationAction) -> [String] {
        switch action {
        case .connect: return ["connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)"]
        case .accept:
            descriptor += 1
            return ["accept(3, ..., ...) = \(descriptor)"]
        case .read(let count): return ["read(\(descriptor), ..., \(count)) = \(count)"]
        case .endOfStream: return ["read(\(descriptor), ..., 1) = 0"]
        case .write(let count): return ["write(\(descriptor), ..., \(count)) = \(count)"]
        // The program goes on reading.
        case .close: return ["shutdown(\(descriptor), SHUT_WR) = 0"]
        case .abort:
            return [
                "setsockopt(\(descriptor), SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0",
                "close(\(descriptor)) = 0",
            ]
        case .release, .closeUnread: return ["close(\(descriptor)) = 0"]
        case .failed, .crash, .restart: return []
        }
    }

    private func text(
        _ segment: TracedSegment, own: SequenceNumber?, other: SequenceNumber?, clock: UInt32?, otherClock: UInt32?
    ) -> String {
        let header = segment.header
        let start = header.sequence - (own ?? SequenceNumber(0))
        // The acknowledgment of a reset without one counts for nothing.
        var text = ScriptWriter.flags(header.flags)
        text += " \(start):\(start &+ UInt32(segment.length))(\(segment.length))"
        if header.flags.contains(.ack) { text += " ack \(header.acknowledgment - (other ?? SequenceNumber(0)))" }
        if !header.flags.contains(.rst) { text += " win \(header.window)" }
        let options = options(header.options, other: other, clock: clock, otherClock: otherClock)
        if !options.isEmpty { text += " <\(options.joined(separator: ","))>" }
        return text
    }

    static func flags(_ flags: TCPFlags) -> String {
        var text = ""
        if flags.contains(.fin) { text += "F" }
        if flags.contains(.syn) { text += "S" }
        if flags.contains(.rst) { text += "R" }
        if flags.contains(.psh) { text += "P" }
        return text + (flags.contains(.ack) ? "." : "")
    }

    /// In the order of the wire.
    private func options(
        _ options: TCPOptions, other: SequenceNumber?, clock: UInt32?, otherClock: UInt32?
    ) -> [String] {
        var result: [String] = []
        if let size = options.maximumSegmentSize { result.append("mss \(size)") }
        if let timestamps = options.timestamps {
            result += options.sackPermitted ? ["sackOK"] : ["nop", "nop"]
            let echo = timestamps.echo == 0 ? 0 : timestamps.echo &- (otherClock ?? 0) &+ 1
            result.append("TS val \(timestamps.value &- (clock ?? 0) &+ 1) ecr \(echo)")
        } else if options.sackPermitted {
            result += ["nop", "nop", "sackOK"]
        }
        if let scale = options.windowScale { result += ["nop", "wscale \(scale)"] }
        if options.sackCount > 0 {
            let blocks = (0..<options.sackCount).map { index in
                let block = options.sackBlocks[index]
                let base = other ?? SequenceNumber(0)
                return "\(block.start - base):\(block.end - base)"
            }
            result += ["nop", "nop", "sack " + blocks.joined(separator: " ")]
        }
        return result
    }
}
