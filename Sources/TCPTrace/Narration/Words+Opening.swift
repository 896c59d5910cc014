internal import TCPEngine
internal import TCPWire

extension SegmentWords {
    /// Why a segment of the handshake was sent.
    var opening: Phrase {
        switch facts.meaning {
        case .syn where !isFirstOfItsKind && segment.from == "attacker":
            Phrase("Another SYN from a made-up address.", "又一个来自捏造地址的 SYN。")
        case .syn where !isFirstOfItsKind:
            Phrase(
                "\(senderAsSubject) asks for a connection; its octets are numbered from \(sequence) on.",
                "\(sender.chinese)请求建立连接，它的字节从 \(sequence) 起编号。")
        case .synAck where segment.from == "toy-server":
            Phrase(
                "\(senderAsSubject) answers SYN with SYN,ACK. In the toy protocol that is the end of the matter: it does not wait to hear whether the answer arrives.",
                "\(sender.chinese)用 SYN,ACK 回答 SYN。在玩具协议里，事情到此为止：它不管这个应答是否送达。")
        case .synAck where !isFirstOfItsKind:
            Phrase(
                "\(senderAsSubject) confirms \(before), and numbers its own octets from \(sequence) on.",
                "\(sender.chinese)确认 \(before)，自己的字节从 \(sequence) 起编号。")
        case .handshakeAckSimultaneous:
            Phrase(
                "The SYN in this SYN,ACK is one that \(sender.english) has already; it says so. No segment of the opening is left to wait for.",
                "这个 SYN,ACK 里的 SYN 是\(sender.chinese)早已收到的，它照例说明这一点。打开连接不再缺任何报文段。")
        case .handshakeAck where !isFirstOfItsKind:
            Phrase(
                "\(senderAsSubject) confirms the number of \(receiver.english): \(acknowledgment) = \(before) + 1.",
                "\(sender.chinese)确认\(receiver.chinese)的序号：\(acknowledgment) = \(before) + 1。")
        case .syn where segment.from == "attacker":
            Phrase(
                "\(senderAsSubject) sends a SYN from an address it made up. It will never send the third segment; it wants \(receiver.english) to keep a place for nothing.",
                "\(sender.chinese)用一个捏造的地址发出 SYN。第三个报文段永远不会来；它只想让\(receiver.chinese)白白占着一个位置。")
        case .syn:
            Phrase(
                "\(senderAsSubject) asks for a connection. SYN means \"synchronize\": my octets will be numbered from \(sequence) on. That first number comes from a clock and a secret, so that no outsider can guess it; the SYN itself uses it up.",
                "\(sender.chinese)请求建立连接。SYN 的意思是“同步序号”：我的字节从 \(sequence) 起编号。这个初始序号由时钟和密钥算出，外人猜不到；SYN 本身就占用这一个序号。")
        case .synWithData:
            Phrase(
                "\(senderAsSubject) asks for a connection, and already sends \(octetsEnglish) along. \(receiverAsSubject) must not hand them to a program before the handshake is complete: anybody can write any address on a first segment.",
                "\(sender.chinese)请求建立连接，并且已经捎带了 \(octets) 字节数据。握手完成之前，\(receiver.chinese)不得把数据交给应用程序：第一个报文段上的地址谁都可以伪造。"
            )
        case .synOnOldConnection:
            Phrase(
                "\(senderAsSubject) asks for a new connection between the same addresses and ports as the one before. Its first number, \(sequence), is a new one, so the octets of the two cannot be mistaken for each other.",
                "\(sender.chinese)用与上一个连接相同的地址和端口请求建立新连接。它的初始序号 \(sequence) 是新的，因此新旧两个连接的字节不会混淆。")
        case .synRepeated where !isFirstOfItsKind:
            Phrase("Still no answer after \(elapsed): the same SYN again.", "又等了 \(elapsed)，仍无回音：再发同一个 SYN。")
        case .synRepeated:
            Phrase(
                "No answer has come for \(elapsed), so \(sender.english) sends the same SYN again: same ports, same number \(sequence). This is still the one attempt, not a second connection.",
                "等了 \(elapsed) 没有回音，\(sender.chinese)把同一个 SYN 重发一遍：端口不变，序号仍是 \(sequence)。这还是那一次尝试，不是第二个连接。")
        case .synInjected:
            Phrase(
                "An old SYN, left over from an earlier attempt, has strayed through the network and now reaches \(receiver.english). \(senderAsSubject) is not asking for this any more, but \(receiver.english) cannot see that.",
                "一个早先尝试留下的旧 SYN 在网络里迷了路，现在才到达\(receiver.chinese)。\(sender.chinese)早已不要这个连接，但\(receiver.chinese)看不出来。")
        case .synAck: synAck
        case .synAckSimultaneous:
            Phrase(
                "The SYNs of both ends have crossed. \(senderAsSubject) confirms the other's number (\(acknowledgment) = \(before) + 1) and repeats its own SYN, number \(sequence). No answer can share a segment with a SYN that has left already: therefore opening at the same time takes four segments.",
                "双方的 SYN 在途中交错。\(sender.chinese)确认对方的序号（\(acknowledgment) = \(before) + 1），并重复自己的 SYN，序号仍是 \(sequence)。已经发出的 SYN 不能再与应答合在一起，所以同时打开需要四个报文段。"
            )
        case .synAckRepeated where facts.answers != nil:
            Phrase(
                "The SYN came again, so \(sender.english) gives the same answer again, with the same number \(sequence): it is still one connection.",
                "SYN 又来了一次，\(sender.chinese)便把同样的回答再发一遍，序号仍是 \(sequence)：连接还是那一个。")
        case .synAckRepeated:
            Phrase(
                "The third segment has not come for \(elapsed). \(senderAsSubject) sends its SYN,ACK again, with the same number \(sequence).",
                "等了 \(elapsed) 仍没有第三个报文段，\(sender.chinese)重发 SYN,ACK，序号仍是 \(sequence)。")
        case .synAckToInjected:
            Phrase(
                "\(senderAsSubject) cannot tell an old SYN from a new one, so it answers as ever. But its answer names the number it believes in: ACK \(acknowledgment).",
                "\(sender.chinese)分不清新旧 SYN，只能照常回答。但回答里写明了它所相信的序号：ACK \(acknowledgment)。")
        case .handshakeAck:
            Phrase(
                "\(senderAsSubject) confirms the number of \(receiver.english): \(acknowledgment) = \(before) + 1. This third segment uses up no number of its own. Once it arrives, \(receiver.english) too knows that both directions work.",
                "\(sender.chinese)确认\(receiver.chinese)的序号：\(acknowledgment) = \(before) + 1。这第三个报文段不占用序号。它一到，\(receiver.chinese)也就知道两个方向都通了。"
            )
        default:
            Phrase(
                "The SYN,ACK came again: the third segment must have been lost. \(senderAsSubject) confirms once more.",
                "SYN,ACK 又来了一次，说明第三个报文段丢了。\(sender.chinese)再确认一遍。")
        }
    }

    private var synAck: Phrase {
        let dataNote =
            facts.acknowledged > 1 || (facts.answers.map { analysis.segment($0).length } ?? 0) > 0
        let english =
            "\(senderAsSubject) answers two things in one segment. ACK \(acknowledgment): I have your number, \(before), and expect the next. SYN \(sequence): my own octets are numbered from here, a number that has nothing to do with yours. It is the stack that agrees; the program hears of the connection when it is complete."
        let chinese =
            "\(sender.chinese)用一个报文段回答两件事。ACK \(acknowledgment)：你的序号 \(before) 我收到了，等着下一个。SYN \(sequence)：我的字节从这里起编号，与你的序号毫无关系。这是协议栈在同意；应用程序要等连接建成才知道。"
        guard dataNote else { return Phrase(english, chinese) }
        return Phrase(
            "\(senderAsSubject) answers SYN and ACK in one segment. ACK \(acknowledgment) says how far it has accepted what came: the SYN takes one number, data one for each octet.",
            "\(sender.chinese)用一个报文段同时回答 SYN 和 ACK。ACK \(acknowledgment) 说明它接受到了哪里：SYN 占一个序号，数据每字节占一个。")
    }
}
