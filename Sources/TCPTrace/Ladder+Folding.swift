internal import TCPEngine
internal import TCPWire

extension Ladder {
    /// A run of data and acknowledgments that is drawn as one.
    struct Run {
        /// The item after the last.
        var end: Int
        var segments: [Int]
        /// Whether it is the doing of a stranger.
        var isFlood = false
        /// The first item.
        var start = 0
    }

    /// The run that begins at an item, if it is long enough.
    func run(from start: Int) -> Run? {
        guard let least = style.foldsRunsOf else { return nil }
        if isFlood(analysis.items[start]) {
            var end = start
            while end < analysis.items.count, isFlood(analysis.items[end]) { end += 1 }
            let segments = analysis.items[start..<end].compactMap {
                if case .segment(let index, _, _) = $0 { index } else { nil }
            }
            return end - start >= least ? Run(end: end, segments: segments, isFlood: true, start: start) : nil
        }
        var run = Run(end: start, segments: [])
        while run.end < analysis.items.count,
            case .segment(let segment, let sender, let receiver) = analysis.items[run.end],
            sender.isEmpty, receiver.isEmpty, isPlain(segment)
        {
            run.segments.append(segment)
            run.end += 1
        }
        return finished(run, least)
    }

    /// Whether an item is the doing of somebody who is neither end of the drawing.
    private func isFlood(_ item: LadderItem) -> Bool {
        switch item {
        case .segment(let index, _, _):
            let segment = trace.segments[index]
            return ![left, right].contains(segment.from) || ![left, right].contains(segment.to)
        case .change(let facts): return strangers.contains(facts.change.remote)
        case .action: return false
        }
    }

    private func finished(_ run: Run, _ least: Int) -> Run? { run.segments.count >= least ? run : nil }

    private func isPlain(_ index: Int) -> Bool {
        guard let facts = analysis.facts[index] else { return false }
        let segment = trace.segments[index]
        guard segment.header.flags.isDisjoint(with: [.syn, .fin, .rst]), segment.origin != .injected else {
            return false
        }
        switch facts.meaning {
        case .data, .ack, .dataAfterPeersFIN: return style.foldsLosses || segment.isDelivered
        case .dataRepeated, .duplicateAck, .ackAgain, .ackOfOldDuplicate, .windowUpdate, .copy, .ackOfFIN, .lastAck:
            return style.foldsLosses && facts.meaning != .ackOfFIN && facts.meaning != .lastAck
        default: return false
        }
    }

    mutating func draw(_ run: Run) {
        output.append("")
        if run.isFlood { return drawFlood(run) }
        // The direction of the first data is drawn first.
        let segments = run.segments.map { trace.segments[$0] }
        let firstSender = segments.first { $0.length > 0 }?.from ?? segments[0].from
        for sender in [firstSender, firstSender == right ? left : right] {
            let indices = run.segments.filter { trace.segments[$0].from == sender }
            direction(indices, isRight: sender != right)
        }
        text(summary(run)[style.language])
    }

    private mutating func drawFlood(_ run: Run) {
        let (from, to) = (
            run.segments.filter { trace.segments[$0].to == right },
            run.segments.filter { trace.segments[$0].from == right }
        )
        direction(from, isRight: true)
        direction(to, isRight: false)
        var english: [String] = []
        var chinese: [String] = []
        let answered = Set(to.map { trace.segments[$0].destination })
        if !from.isEmpty {
            english.append(
                "\(from.count) SYN come from addresses that nobody has, and nobody will send the third segment")
            chinese.append("\(from.count) 个 SYN 来自捏造的地址，没有谁会发第三个报文段")
        }
        if !to.isEmpty {
            english.append("\(to.count) SYN,ACK go out to \(answered.count) of them, in vain")
            chinese.append("向其中 \(answered.count) 个地址发出 \(to.count) 个 SYN,ACK，全是徒劳")
        }
        var givenUp = 0
        var last = Instant.zero
        for item in analysis.items[run.start..<run.end] {
            guard case .change(let facts) = item else { continue }
            givenUp += 1
            last = facts.change.time
        }
        if givenUp > 0 {
            english.append(
                "\(givenUp) half-open entries are given up, the last at \(clock(last)): their places are free again")
            chinese.append("\(givenUp) 个半开条目被放弃，最后一个在 \(clock(last))：位置又空出来了")
        }
        text(
            Phrase("(folded) " + english.joined(separator: "; ") + ".", "（已折叠）" + chinese.joined(separator: "；") + "。")[
                style.language])
    }

    private mutating func direction(_ indices: [Int], isRight: Bool) {
        guard let first = indices.first, let last = indices.last else { return }
        let data = indices.filter { trace.segments[$0].length > 0 }
        let octets = data.reduce(0) { $0 + trace.segments[$1].length }
        let flags = trace.segments[first].header.flags.subtracting(.psh).names.joined(separator: ",")
        let text = "\(indices.count) × " + (data.isEmpty ? flags : "ACK +\(NumberText.grouped(octets))")
        let free = max(4, arrowWidth - DisplayWidth.of(text) - 3)
        let strokes = { (count: Int) in String(repeating: "═", count: count) }
        let middle =
            isRight
            ? strokes(free / 2) + " \(text) " + strokes(free - free / 2) + "▶"
            : "◀" + strokes(free - free / 2) + " \(text) " + strokes(free / 2)
        let start = clock(trace.segments[first].sent)
        let end = clock(trace.segments[last].arrival ?? trace.segments[last].sent)
        var senderState = analysis.facts[first]?.senderState.name ?? ""
        var receiverState = analysis.facts[last]?.receiverState?.name ?? ""
        let (from, to) = (trace.segments[first].from, trace.segments[first].to)
        if ![left, right].contains(from) { senderState = Narrator.label(from, style.language) }
        if ![left, right].contains(to) { receiverState = Narrator.label(to, style.language) }
        if isRight {
            row(
                leftTime: start, leftState: senderState, middle: paint(middle, .bold), rightState: receiverState,
                rightTime: end)
        } else {
            row(
                leftTime: end, leftState: receiverState, middle: paint(middle, .bold), rightState: senderState,
                rightTime: start)
        }
    }

    private func summary(_ run: Run) -> Phrase {
        let segments = run.segments.map { trace.segments[$0] }
        var english: [String] = []
        var chinese: [String] = []
        for end in [left, right] {
            let data = segments.filter { $0.from == end && $0.length > 0 && $0.origin == .host }
            guard !data.isEmpty else { continue }
            let repeated = run.segments.filter {
                trace.segments[$0].from == end && analysis.facts[$0]?.meaning == .dataRepeated
            }.count
            let octets = NumberText.grouped(data.reduce(0) { $0 + $1.length })
            let name = Narrator.name(end)
            var sentence =
                "\(data.count) segments carry \(octets) octets from \(name.english)"
            var sentenceInChinese = "\(name.chinese)用 \(data.count) 个报文段送出 \(octets) 字节"
            if repeated > 0 {
                sentence += ", \(repeated) of them for the second time"
                sentenceInChinese += "，其中 \(repeated) 个是重发"
            }
            english.append(sentence)
            chinese.append(sentenceInChinese)
        }
        let acknowledgments = segments.filter { $0.length == 0 && $0.origin == .host }.count
        if acknowledgments > 0 {
            english.append("\(acknowledgments) acknowledgments say what has arrived")
            chinese.append("\(acknowledgments) 个确认说明收到了哪里")
        }
        let lost = segments.filter { !$0.isDelivered }.count
        if lost > 0 {
            english.append("\(lost) did not arrive, and what they carried was sent again")
            chinese.append("有 \(lost) 个没有送达，其内容由重发补上")
        }
        return Phrase(
            "(folded) " + english.joined(separator: "; ") + ".", "（已折叠）" + chinese.joined(separator: "；") + "。")
    }
}
