internal import TCPEngine
internal import TCPWire

extension Ladder {
    /// A run of data and acknowledgments that is drawn as one.
    struct Run {
        /// The item after the last.
        var end: Int
        var segments: [Int]
    }

    /// The run that begins at an item, if it is long enough.
    func run(from start: Int) -> Run? {
        guard let least = style.foldsRunsOf else { return nil }
        var run = Run(end: start, segments: [])
        var index = start
        while index < analysis.items.count {
            switch analysis.items[index] {
            case .segment(let segment, let sender, let receiver):
                guard sender.isEmpty, receiver.isEmpty, isPlain(segment) else { return finished(run, least) }
                run.segments.append(segment)
                run.end = index + 1
            case .action(let action):
                // Writing goes on while data flows; what else a program does is worth a line.
                guard case .write = action.action, index > start else { return finished(run, least) }
                return finished(run, least)
            case .change: return finished(run, least)
            }
            index += 1
        }
        return finished(run, least)
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
        // The direction of the first data is drawn first.
        let segments = run.segments.map { trace.segments[$0] }
        let firstSender = segments.first { $0.length > 0 }?.from ?? segments[0].from
        for sender in [firstSender, firstSender == right ? left : right] {
            let indices = run.segments.filter { trace.segments[$0].from == sender }
            direction(indices, isRight: sender != right)
        }
        text(summary(run)[style.language])
    }

    private mutating func direction(_ indices: [Int], isRight: Bool) {
        guard let first = indices.first, let last = indices.last else { return }
        let data = indices.filter { trace.segments[$0].length > 0 }
        let octets = data.reduce(0) { $0 + trace.segments[$1].length }
        let label =
            data.isEmpty
            ? Phrase("\(indices.count) × ACK", "\(indices.count) × ACK")
            : Phrase(
                "\(data.count) × \(NumberText.grouped(octets / data.count))", "\(data.count) × \(NumberText.grouped(octets / data.count))"
            )
        let text = label[style.language]
        let free = max(4, arrowWidth - DisplayWidth.of(text) - 3)
        let strokes = { (count: Int) in String(repeating: "═", count: count) }
        let middle =
            isRight
            ? strokes(free / 2) + " \(text) " + strokes(free - free / 2) + "▶"
            : "◀" + strokes(free - free / 2) + " \(text) " + strokes(free / 2)
        let start = clock(trace.segments[first].sent)
        let end = clock(trace.segments[last].arrival ?? trace.segments[last].sent)
        let senderState = analysis.facts[first]?.senderState.name ?? ""
        let receiverState = analysis.facts[last]?.receiverState?.name ?? ""
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
