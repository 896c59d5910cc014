internal import TCPEngine
internal import TCPWire

extension SegmentWords {
    /// The number that the FIN uses up: after the data it rides on.
    private var finNumber: String { String((segment.header.sequence + segment.length).rawValue) }

    private var withData: Phrase {
        segment.length == 0
            ? Phrase("", "")
            : Phrase(" It rides on the last \(octetsEnglish) of data.", "它搭在最后 \(octets) 字节数据上。")
    }

    /// Why a segment of the close was sent.
    var closing: Phrase {
        switch facts.meaning {
        case .fin:
            Phrase(
                "The program at \(sender.english) has closed. FIN says: I have no more to send. It is an announcement, not a request, and uses up the number \(finNumber).\(withData.english) ACK is set as in every segment after the first. \(senderAsSubject) still receives.",
                "\(sender.chinese)的应用程序关闭了连接。FIN 的意思是：我没有更多数据要发了。这是通告，不是请求；它占用序号 \(finNumber)。\(withData.chinese)ACK 照例置位，第一个 SYN 之后的每个报文段都如此。\(sender.chinese)仍然可以接收。"
            )
        case .finMergedWithAck:
            Phrase(
                "The program at \(sender.english) closed before an acknowledgment had to leave, so one segment does both: ACK \(acknowledgment) confirms the FIN that came, and FIN, number \(finNumber), closes the other direction.\(withData.english) So this close takes three segments, not four.",
                "\(sender.chinese)的应用程序赶在确认发出之前就关闭了，于是一个报文段办两件事：ACK \(acknowledgment) 确认收到的 FIN，FIN（序号 \(finNumber)）关闭另一个方向。\(withData.chinese)所以这次关闭只用三个报文段，而不是四个。"
            )
        case .finSeparate:
            Phrase(
                "Only now has the program at \(sender.english) closed; therefore its FIN, number \(finNumber), comes apart from the acknowledgment sent earlier.\(withData.english) The ACK field repeats \(acknowledgment), and is as good as the first.",
                "\(sender.chinese)的应用程序现在才关闭，所以它的 FIN（序号 \(finNumber)）与先前的确认是分开的。\(withData.chinese)ACK 字段重复 \(acknowledgment)，与上一次同样有效。"
            )
        case .finSeparateAckLost:
            Phrase(
                "Now the program at \(sender.english) has closed too: FIN, number \(finNumber).\(withData.english) The ACK field repeats \(acknowledgment). As the acknowledgment sent earlier has not arrived, this one alone tells \(receiver.english) that its FIN got through.",
                "现在\(sender.chinese)的应用程序也关闭了：FIN，序号 \(finNumber)。\(withData.chinese)ACK 字段重复 \(acknowledgment)。先前的确认没有到达，全靠这一个告诉\(receiver.chinese)：它的 FIN 已经收到。"
            )
        case .finCrossing:
            Phrase(
                "The program at \(sender.english) has closed as well. When this FIN, number \(finNumber), leaves, the other's has not arrived yet: the two cross on the way.\(withData.english)",
                "\(sender.chinese)的应用程序也关闭了。这个 FIN（序号 \(finNumber)）发出时，对方的 FIN 还没到：两个 FIN 在途中交错。\(withData.chinese)")
        case .finRepeated:
            Phrase(
                "Its FIN has not been confirmed for \(elapsed), so \(sender.english) sends it again, with the same number \(finNumber).",
                "FIN 发出 \(elapsed) 后仍未得到确认，\(sender.chinese)重发，序号仍是 \(finNumber)。")
        case .ackOfFIN: ackOfFIN
        case .ackOfCrossingFIN:
            Phrase(
                "\(senderAsSubject) confirms the FIN that crossed its own: \(acknowledgment) = \(before) + 1.",
                "\(sender.chinese)确认与自己的 FIN 交错而来的那个 FIN：\(acknowledgment) = \(before) + 1。")
        case .lastAck:
            Phrase(
                "\(senderAsSubject) confirms the FIN: \(acknowledgment) = \(before) + 1. Nobody confirms this confirmation, so \(sender.english) cannot know whether it arrives, and stays a while.",
                "\(sender.chinese)确认这个 FIN：\(acknowledgment) = \(before) + 1。没有谁会再确认这个确认，\(sender.chinese)无从知道它是否送达，所以还要停留一阵。"
            )
        default:
            Phrase(
                "The FIN came again, so the last acknowledgment must have been lost. This is what TIME-WAIT is for: \(sender.english) confirms once more, and begins its wait anew.",
                "FIN 又来了，说明最后的确认丢了。TIME-WAIT 正是为此而设：\(sender.chinese)再确认一次，并重新开始计时。")
        }
    }

    private var ackOfFIN: Phrase {
        guard facts.senderState == .closeWait else {
            return Phrase(
                "\(senderAsSubject) confirms the FIN: \(acknowledgment) = \(before) + 1.",
                "\(sender.chinese)确认这个 FIN：\(acknowledgment) = \(before) + 1。")
        }
        return Phrase(
            "The stack of \(sender.english) confirms the FIN: \(acknowledgment) = \(before) + 1. Its program has been told of the end, but may still have something to send: its own FIN waits until the program closes.",
            "\(sender.chinese)的协议栈确认这个 FIN：\(acknowledgment) = \(before) + 1。应用程序已经得知对方说完了，但自己可能还有数据要发：它的 FIN 要等应用程序关闭才会发出。"
        )
    }
}
