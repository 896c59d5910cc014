internal import TCPEngine
internal import TCPWire

/// Turns what an analysis found into sentences, each in every language.
struct Narrator {
    let analysis: Analysis

    /// The name of an end inside a sentence.
    static func name(_ end: String) -> Phrase {
        switch end {
        case "client": Phrase("the client", "客户端")
        case "server": Phrase("the server", "服务器")
        case "attacker": Phrase("the attacker", "攻击者")
        case "network": Phrase("the network", "网络")
        case "toy-client": Phrase("the toy client", "玩具客户端")
        case "toy-server": Phrase("the toy server", "玩具服务器")
        default: Phrase(end, end)
        }
    }

    /// The sentence for the segment at `index`: why it was sent, and what became of it if that is out of the ordinary.
    /// What was explained before, the reader is told in brief.
    func sentence(segment index: Int, isFirstOfItsKind: Bool = true) -> Phrase {
        guard let facts = analysis.facts[index] else { return Phrase("", "") }
        let words = SegmentWords(
            segment: analysis.segment(index), facts: facts, analysis: analysis,
            isFirstOfItsKind: isFirstOfItsKind)
        let reason = words.reason
        if analysis.isOvertaken(index), let arrival = words.segment.arrival {
            let late = NumberText.duration(arrival - words.segment.sent)
            return Phrase(
                reason.english + " It is held up on the way, for \(late) in all, and overtaken by others.",
                reason.chinese + "它在途中耽搁，走了 \(late)，被后发的报文段超过。")
        }
        guard let fate = words.fate else { return reason }
        return Phrase(reason.english + " " + fate.english, reason.chinese + fate.chinese)
    }
}

/// The words about one segment.
struct SegmentWords {
    let segment: TracedSegment
    let facts: SegmentFacts
    let analysis: Analysis
    let isFirstOfItsKind: Bool

    var sender: Phrase { Narrator.name(segment.from) }
    var receiver: Phrase { Narrator.name(segment.to) }
    /// The sender at the beginning of an English sentence.
    var senderAsSubject: String { SegmentWords.capitalized(sender.english) }
    var receiverAsSubject: String { SegmentWords.capitalized(receiver.english) }
    var sequence: String { String(segment.header.sequence.rawValue) }
    var acknowledgment: String { String(segment.header.acknowledgment.rawValue) }
    var before: String { String((segment.header.acknowledgment + -1).rawValue) }
    var elapsed: String { NumberText.duration(facts.elapsed) }
    var octets: String { NumberText.grouped(segment.length) }
    var octetsEnglish: String { segment.length == 1 ? "1 octet" : "\(octets) octets" }

    static func capitalized(_ text: String) -> String {
        guard let first = text.first else { return text }
        return first.uppercased() + text.dropFirst()
    }

    var reason: Phrase {
        switch facts.meaning {
        case .syn, .synWithData, .synOnOldConnection, .synRepeated, .synInjected, .synAck, .synAckSimultaneous,
            .synAckRepeated, .synAckToInjected, .handshakeAck, .handshakeAckRepeated, .handshakeAckSimultaneous:
            opening
        case .data, .dataFinishingHandshake, .dataAfterPeersFIN, .dataRepeated, .dataInjected, .windowProbe, .copy:
            data
        case .ack, .ackAgain, .duplicateAck, .ackClosingWindow, .windowUpdate, .probeAnswer, .ackOfOldDuplicate,
            .keepAlive:
            acknowledging
        case .fin, .finMergedWithAck, .finSeparate, .finSeparateAckLost, .finCrossing, .finRepeated, .ackOfFIN,
            .ackOfCrossingFIN, .lastAck, .lastAckRepeated:
            closing
        case .challengeAck, .refusal, .resetOfOldSynAck, .resetOfUnknown, .abort, .resetOfUnread, .resetInjected,
            .reset:
            resetting
        }
    }

    /// What became of the segment, unless it simply arrived.
    var fate: Phrase? {
        switch segment.fate {
        case .delivered: nil
        case .lost: Phrase("It is lost on the way.", "它在途中丢失了。")
        case .queueFull:
            Phrase("A full queue on the way had no room for it: it is dropped.", "途中的队列已满，它被丢弃了。")
        case .corrupted:
            Phrase(
                "On the way some of its bits are turned over; the checksum gives it away, and \(receiver.english) drops it.",
                "途中它的若干比特被翻转；校验和露出了破绽，\(receiver.chinese)把它丢弃。")
        case .unreachable: Phrase("Nobody is there to take it.", "那一头没有谁能收下它。")
        }
    }
}
