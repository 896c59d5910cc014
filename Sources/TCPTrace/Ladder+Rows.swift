internal import TCPEngine
internal import TCPWire

extension Ladder {
    /// Whether the segment goes from left to right.
    private func goesRight(_ segment: TracedSegment) -> Bool { segment.to == right || segment.from != right }

    mutating func draw(_ index: Int, _ sender: [ChangeFacts], _ receiver: [ChangeFacts]) {
        let segment = trace.segments[index]
        guard let facts = analysis.facts[index] else { return }
        output.append("")
        let isRight = goesRight(segment)
        let sent = clock(segment.sent)
        let arrival = segment.arrival.map(clock) ?? ""
        let known = segment.from == left || segment.from == right
        var senderState = facts.senderState.name
        if !known { senderState = Narrator.label(segment.from, style.language) }
        if segment.origin != .host { senderState = "" }
        var receiverState = segment.arrival == nil ? "" : facts.receiverState?.name ?? ""
        if segment.to != left, segment.to != right { receiverState = Narrator.label(segment.to, style.language) }
        let middle = arrow(segment, isRight)
        if isRight {
            row(
                leftTime: sent, leftState: senderState, middle: middle, rightState: receiverState, rightTime: arrival)
        } else {
            row(
                leftTime: arrival, leftState: receiverState, middle: middle, rightState: senderState, rightTime: sent)
        }
        text(numbers(segment, facts), paint: .faint)
        let kind = facts.meaning.rawValue + (segment.from == left || segment.from == right ? "" : segment.from)
        let isFirst = told.insert(kind).inserted
        text(narrator.sentence(segment: index, isFirstOfItsKind: isFirst)[style.language])
        for change in sender + receiver { line(change) }
    }

    private func arrow(_ segment: TracedSegment, _ isRight: Bool) -> String {
        var label = segment.header.flags.names.joined(separator: ",")
        if segment.length > 0 { label += label.isEmpty ? dataLabel(segment) : " " + dataLabel(segment) }
        let stroke: String
        switch segment.origin {
        case .host: stroke = "─"
        case .copy, .injected: stroke = "╌"
        }
        let head = segment.isDelivered ? (isRight ? "▶" : "◀") : "✗"
        let free = max(4, arrowWidth - DisplayWidth.of(label) - 3)
        // A lost segment's line ends on the way.
        let first = segment.isDelivered ? free / 2 : (isRight ? free / 2 : free / 4)
        let second = segment.isDelivered ? free - first : free / 4
        let strokes = { (count: Int) in String(repeating: stroke, count: max(1, count)) }
        let colour: Colour = segment.isDelivered ? .bold : .loss
        let plain =
            isRight
            ? strokes(first) + " \(label) " + strokes(second) + head
            : head + strokes(segment.isDelivered ? second : free / 4) + " \(label) " + strokes(free / 2)
        let padding = max(0, arrowWidth - DisplayWidth.of(plain))
        let space = String(repeating: " ", count: padding)
        // An arrow from the right begins at the right.
        return isRight ? paint(plain, colour) + space : space + paint(plain, colour)
    }

    private func dataLabel(_ segment: TracedSegment) -> String {
        "+\(segment.length)"
    }

    private func numbers(_ segment: TracedSegment, _ facts: SegmentFacts) -> String {
        let relative = { (number: Int?) -> String in
            guard let number else { return "" }
            return Phrase(" (rel \(number))", "（相对 \(number)）")[style.language]
        }
        var parts = ["Seq=\(segment.header.sequence.rawValue)" + relative(facts.relativeSequence)]
        if segment.header.flags.contains(.ack) {
            parts.append(
                "Ack=\(segment.header.acknowledgment.rawValue)" + relative(facts.relativeAcknowledgment))
        }
        parts.append("Len=\(segment.length)")
        if Ladder.showsWindow(facts.meaning) { parts.append("Win=\(facts.window)") }
        return parts.joined(separator: "  ")
    }

    /// The window is worth a place where it says something new.
    private static func showsWindow(_ meaning: SegmentMeaning) -> Bool {
        switch meaning {
        case .syn, .synAck, .ack, .ackClosingWindow, .windowUpdate, .probeAnswer: true
        default: false
        }
    }

    private mutating func line(_ facts: ChangeFacts) {
        let change = facts.change
        let name = Narrator.label(change.end, style.language)
        let from = change.from == .closed && facts.listenerStays ? State.listen : change.from
        text("\(name)\(colon)\(from.name) → \(change.to.name)" + reason(facts), paint: .state, hanging: 2)
    }

    private var colon: String { style.language == .english ? ": " : "：" }

    /// The reason of a change, told the first time.
    private mutating func reason(_ facts: ChangeFacts) -> String {
        let change = facts.change
        guard told.insert("\(change.end) \(change.from) \(change.to)").inserted else { return "" }
        let separator = style.language == .english ? " — " : "——"
        return separator + narrator.sentence(change: facts)[style.language]
    }

    mutating func draw(_ facts: ChangeFacts) {
        output.append("")
        let change = facts.change
        let name = Narrator.label(change.end, style.language)
        var prefix = ""
        if case .arrival(let index) = facts.cause {
            let segment = trace.segments[index]
            let flags = segment.header.flags.names.joined(separator: ",")
            let sent = clock(segment.sent)
            prefix = Phrase("The \(flags) of \(sent) arrives at last. ", "\(sent) 发出的 \(flags) 终于到达。")[style.language]
        }
        timed(change.time, prefix + "\(name)\(colon)\(change.from.name) → \(change.to.name)" + reason(facts), .state)
    }

    mutating func draw(_ action: TracedAction, after reading: Int? = nil) {
        guard
            let sentence = reading.map({ narrator.sentence(end: action, reading: $0) })
                ?? narrator.sentence(action: action)
        else { return }
        output.append("")
        timed(action.time, sentence[style.language], nil)
    }

    private mutating func timed(_ time: Instant, _ sentence: String, _ colour: Colour?) {
        let before = output.count
        text(sentence, paint: colour)
        guard output.count > before else { return }
        output[before] =
            paint(clock(time).rightAligned(to: Ladder.timeWidth), .state) + "  "
            + String(output[before].dropFirst(Ladder.indent))
    }
}
