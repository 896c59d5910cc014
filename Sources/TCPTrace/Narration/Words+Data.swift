internal import TCPEngine
internal import TCPWire

extension SegmentWords {
    private var last: String { String((segment.header.sequence + (segment.length - 1)).rawValue) }

    /// Why a segment with data was sent.
    var data: Phrase {
        switch facts.meaning {
        case .dataFinishingHandshake where facts.repeatsOctets:
            Phrase(
                "\(receiverAsSubject) has confirmed the SYN alone, and kept nothing of the data. The third segment carries the \(octetsEnglish) again, and with them the confirmation that \(receiver.english) waits for.",
                "\(receiver.chinese)只确认了 SYN，数据一点没留。第三个报文段把这 \(octets) 字节再带一遍，同时带去\(receiver.chinese)等待的确认。")
        case .dataFinishingHandshake:
            Phrase(
                "\(senderAsSubject) sends \(octetsEnglish). Every segment after the handshake's first carries an acknowledgment, so this one also does the work of the third segment: it tells \(receiver.english) that its number was received.",
                "\(sender.chinese)发送 \(octets) 字节。首个 SYN 之后的每个报文段都带确认，所以这个数据段同时也起到第三个握手报文段的作用：告诉\(receiver.chinese)，它的序号已经收到。"
            )
        case .dataAfterPeersFIN where facts.receiverState == .closed:
            Phrase(
                "\(senderAsSubject) sends \(octetsEnglish), as it may: the FIN of \(receiver.english) closed only the other direction. But nobody is left there to receive them.",
                "\(sender.chinese)发送 \(octets) 字节。这是允许的：\(receiver.chinese)的 FIN 只关闭了另一个方向。可是那一头已经没有谁来接收了。")
        case .dataAfterPeersFIN:
            Phrase(
                "\(senderAsSubject) still has something to say and sends \(octetsEnglish). The FIN of \(receiver.english) closed only the other direction; this one is open, and \(receiver.english) still receives.",
                "\(sender.chinese)还有话要说，发送 \(octets) 字节。\(receiver.chinese)的 FIN 只关闭了另一个方向；这个方向仍然开着，\(receiver.chinese)照样接收。"
            )
        case .dataRepeated where facts.answers != nil:
            Phrase(
                "The acknowledgments show that the \(octetsEnglish) from \(sequence) on are missing, so \(sender.english) sends them again at once, without waiting for its timer.",
                "从确认可以看出，从 \(sequence) 起的 \(octets) 字节没有到，\(sender.chinese)不等定时器到点，立刻重发。")
        case .dataRepeated:
            Phrase(
                "Nobody has confirmed the \(octetsEnglish) from \(sequence) on\(facts.repetitions > 0 ? " for \(elapsed)" : ""), so \(sender.english) sends them again: same octets, same numbers.",
                "从 \(sequence) 起的 \(octets) 字节\(facts.repetitions > 0 ? "等了 \(elapsed) " : "")没有得到确认，\(sender.chinese)重发：字节不变，序号不变。"
            )
        case .dataInjected where segment.length > 0:
            Phrase(
                "A data segment of an earlier connection, with the same addresses and ports, has strayed through the network and turns up only now. Its number, \(sequence), is an old one.",
                "同一对地址和端口上、早先连接的一个数据段在网络里迷了路，现在才冒出来。它的序号 \(sequence) 是旧的。")
        case .dataInjected:
            Phrase(
                "A segment that nobody on either side sent just now turns up from the network.",
                "网络里冒出一个此刻双方都没有发送的报文段。")
        case .windowProbe:
            Phrase(
                "The window of \(receiver.english) is closed. \(senderAsSubject) asks with \(octetsEnglish) whether there is room again: the news that there is might have been lost, and then both would wait for ever.",
                "\(receiver.chinese)的窗口是关着的。\(sender.chinese)用 \(octets) 字节试探是否又有空位：通知窗口打开的报文段可能丢失，那样双方就会永远等下去。")
        case .copy:
            Phrase(
                "The network delivers the same segment a second time; nobody sent it again.",
                "网络把同一个报文段又送了一遍；并没有谁重发它。")
        default:
            Phrase(
                "\(senderAsSubject) sends \(octetsEnglish), numbered \(sequence) to \(last).",
                "\(sender.chinese)发送 \(octets) 字节，序号从 \(sequence) 到 \(last)。")
        }
    }

    private var blocks: String {
        let options = segment.header.options
        return (0..<options.sackCount).map { index in
            let block = options.sackBlocks[index]
            return "\(block.start.rawValue)–\((block.end + -1).rawValue)"
        }.joined(separator: ", ")
    }

    /// Why a segment that only acknowledges was sent.
    var acknowledging: Phrase {
        let window = NumberText.grouped(facts.window)
        let confirmed = NumberText.grouped(facts.acknowledged)
        let confirmedEnglish = facts.acknowledged == 1 ? "1 more" : "\(confirmed) more"
        switch facts.meaning {
        case .ack where segment.header.options.sackCount > 0:
            return Phrase(
                "\(senderAsSubject) confirms everything before \(acknowledgment), \(confirmedEnglish). It also has \(blocks), behind a gap.",
                "\(sender.chinese)确认 \(acknowledgment) 之前的全部内容，比上次多 \(confirmed) 字节。它还收到了缺口之后的 \(blocks)。")
        case .ack:
            return Phrase(
                "\(senderAsSubject) confirms everything before \(acknowledgment), \(confirmedEnglish), and has room for \(window).",
                "\(sender.chinese)确认 \(acknowledgment) 之前的全部内容，比上次多 \(confirmed) 字节；还能再收 \(window) 字节。")
        case .ackClosingWindow:
            return Phrase(
                "\(senderAsSubject) confirms everything before \(acknowledgment), and its window is 0: its program does not read, its buffer is full, and \(receiver.english) must wait.",
                "\(sender.chinese)确认 \(acknowledgment) 之前的全部内容，同时窗口为 0：应用程序不读，缓冲区满了，\(receiver.chinese)必须等待。")
        case .windowUpdate:
            return Phrase(
                "The program at \(sender.english) has read, so there is room again: the window is now \(window) octets.",
                "\(sender.chinese)的应用程序读走了数据，又有空位了：窗口现在是 \(window) 字节。")
        case .probeAnswer:
            return Phrase(
                "\(senderAsSubject) answers the question: it still expects \(acknowledgment), and its window is still 0. An answer, whatever it says, keeps the connection alive.",
                "\(sender.chinese)回答试探：仍在等 \(acknowledgment)，窗口仍为 0。只要有回答，连接就还活着。")
        case .duplicateAck where segment.header.options.sackCount > 0:
            return Phrase(
                "What arrived lies behind a gap. \(senderAsSubject) repeats that it misses \(acknowledgment), and by SACK names what it does have: \(blocks).",
                "到达的数据在缺口之后。\(sender.chinese)重申缺的是 \(acknowledgment)，并用 SACK 说明已经收到了哪些：\(blocks)。")
        case .duplicateAck:
            return Phrase(
                "What arrived lies behind a gap: \(sender.english) repeats that it misses \(acknowledgment).",
                "到达的数据在缺口之后：\(sender.chinese)重申缺的是 \(acknowledgment)。")
        case .ackOfOldDuplicate:
            return Phrase(
                "What arrived is nothing new: \(sender.english) drops it, and says what it expects: \(acknowledgment).",
                "到达的不是新内容：\(sender.chinese)丢弃它，并说明自己等的是 \(acknowledgment)。")
        case .keepAlive:
            return Phrase(
                "Nothing has been heard for a long time. \(senderAsSubject) asks whether \(receiver.english) is still there, with a number already confirmed.",
                "很久没有动静了。\(sender.chinese)用一个已被确认过的序号询问\(receiver.chinese)是否还在。")
        default:
            return Phrase(
                "\(senderAsSubject) repeats its acknowledgment: it expects \(acknowledgment).",
                "\(sender.chinese)重复自己的确认：等着 \(acknowledgment)。")
        }
    }
}
