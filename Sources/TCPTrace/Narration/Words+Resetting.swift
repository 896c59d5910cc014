internal import TCPEngine
internal import TCPWire

extension SegmentWords {
    private var answered: TracedSegment? { facts.answers.map { analysis.segment($0) } }

    /// Why a reset, or a question about one, was sent.
    var resetting: Phrase {
        switch facts.meaning {
        case .challengeAck where answered?.header.flags.contains(.rst) ?? false:
            Phrase(
                "The reset's number lies inside the window but is not the one expected next, \(acknowledgment): it may be forged. \(senderAsSubject) gives nothing up and asks back (challenge ACK, RFC 5961). A real peer that has gone would answer with a reset of exactly that number.",
                "这个 RST 的序号落在窗口内，却不是正等待的 \(acknowledgment)：可能是伪造的。\(sender.chinese)不放弃连接，而是反问一句（挑战 ACK，RFC 5961）。对方若真的没有这个连接，会用恰好这个序号的 RST 回答。"
            )
        case .challengeAck:
            Phrase(
                "A SYN, in the middle of a connection? It may be forged, or \(receiver.english) has lost its memory. \(senderAsSubject) answers with what it knows, \"I expect \(acknowledgment)\" (challenge ACK, RFC 5961): who really restarted will object.",
                "连接进行到一半来了个 SYN？也许是伪造，也许是\(receiver.chinese)失去了记忆。\(sender.chinese)用自己所知的来回答：“我等的是 \(acknowledgment)”（挑战 ACK，RFC 5961）。若对方真的重启过，它会提出异议。"
            )
        case .refusal:
            Phrase(
                "Nothing listens on port \(segment.source.port) of \(sender.english). RST refuses the connection; ACK \(acknowledgment) says which SYN is meant.",
                "\(sender.chinese)的 \(segment.source.port) 端口上没有程序在监听。RST 拒绝连接；ACK \(acknowledgment) 说明拒绝的是哪一个 SYN。")
        case .resetOfOldSynAck:
            Phrase(
                "This confirms \(sequence), a number of no attempt that \(sender.english) is making. RST says: I did not ask for this. It carries exactly that number, so \(receiver.english) believes it.",
                "收到的报文段确认了 \(sequence)，而\(sender.chinese)此刻并没有用这个序号发起连接。RST 的意思是：这不是我要的。它带着恰好这个序号，所以\(receiver.chinese)相信它。"
            )
        case .resetOfUnknown:
            Phrase(
                "\(senderAsSubject) knows nothing of such a connection. RST tells \(receiver.english) to give it up; its number \(sequence) is taken from the segment it answers, so it is believed.",
                "\(sender.chinese)不知道有这样一个连接。RST 请\(receiver.chinese)放弃它；序号 \(sequence) 取自所回答的报文段，所以会被相信。")
        case .abort:
            Phrase(
                "The program at \(sender.english) aborts. RST ends both directions at once: one segment, no answer, and whatever was under way is dropped.",
                "\(sender.chinese)的应用程序中止连接。RST 立刻结束两个方向：只用一个报文段，没有回答，途中的数据一概丢弃。")
        case .resetOfUnread:
            Phrase(
                "The program at \(sender.english) closed without reading what had arrived. A FIN would pretend that all went well; RST says honestly that data was lost.",
                "\(sender.chinese)的应用程序没有读完到达的数据就关闭了。发 FIN 等于假装一切正常；RST 如实说明有数据丢失。")
        case .resetInjected:
            Phrase(
                "A forged reset that claims to come from \(sender.english). The forger knows the addresses and ports, and has guessed the number \(sequence).",
                "一个伪造的 RST，冒充来自\(sender.chinese)。伪造者知道双方的地址和端口，序号 \(sequence) 是猜的。")
        default:
            Phrase(
                "\(senderAsSubject) gives the connection up, and tells \(receiver.english) so with RST.",
                "\(sender.chinese)放弃这个连接，并用 RST 告诉\(receiver.chinese)。")
        }
    }
}
