internal import TCPEngine
internal import TCPWire

extension Narrator {
    /// Why a state changed.
    func sentence(change facts: ChangeFacts) -> Phrase {
        let change = facts.change
        let end = Narrator.name(change.end)
        if case .arrival(let index) = facts.cause, analysis.segment(index).header.flags.contains(.rst) {
            return afterReset(change)
        }
        switch change.to {
        case .listen: return toListen(facts, end)
        case .synSent: return Phrase("it waits for the answer to its SYN.", "等待对方回答它的 SYN。")
        case .synReceived: return toSynReceived(facts)
        case .established: return toEstablished(facts)
        case .closed: return toClosed(facts)
        default: return closingChange(facts)
        }
    }

    private func toListen(_ facts: ChangeFacts, _ end: Phrase) -> Phrase {
        facts.change.from == .closed
            ? Phrase(
                "a program waits for connections on port \(facts.change.local.port) (passive open).",
                "应用程序在 \(facts.change.local.port) 端口等待连接（被动打开）。")
            : Phrase("the attempt is given up; it listens as before.", "放弃这次尝试，照旧监听。")
    }

    private func toSynReceived(_ facts: ChangeFacts) -> Phrase {
        if facts.change.from == .synSent {
            return Phrase(
                "a SYN came instead of an answer: the other end is opening at the same moment.",
                "来的不是应答而是 SYN：对方也在同一时刻打开连接。")
        }
        return facts.listenerStays
            ? Phrase(
                "a new connection has seen a SYN and waits for the third segment. The listener itself stays in LISTEN, ready for others.",
                "一个新连接收到了 SYN，等待第三个报文段。监听者本身仍在 LISTEN，随时接待别的连接。")
            : Phrase("it has seen a SYN and waits for the third segment.", "收到了 SYN，等待第三个报文段。")
    }

    private func toEstablished(_ facts: ChangeFacts) -> Phrase {
        if facts.change.from == .closed {
            return Phrase(
                "a rule of the toy: whoever sends a SYN has a connection, heard or not.",
                "这是玩具协议的规则：谁发来 SYN，谁就有了连接，不管应答有没有送达。")
        }
        if facts.change.from == .synSent, facts.change.end == "toy-client" {
            return Phrase("the answer came: for the toy this is all.", "应答到了：对玩具协议来说，这就够了。")
        }
        if facts.change.from == .synSent {
            return Phrase(
                "its number is confirmed and it has the other's: both directions are known to work, and data may flow.",
                "自己的序号得到确认，也拿到了对方的序号：两个方向都通了，可以传数据。")
        }
        if case .arrival(let index) = facts.cause, analysis.segment(index).length > 0 {
            return Phrase(
                "the acknowledgment on this data confirms its number: the connection is complete on this side too.",
                "数据段上的确认证实了它的序号：这一端的连接也建成了。")
        }
        return Phrase(
            "its number is confirmed: the connection is complete on this side too, and the program may have it.",
            "自己的序号得到确认：这一端的连接也建成了，可以交给应用程序。")
    }

    private func closingChange(_ facts: ChangeFacts) -> Phrase {
        switch (facts.change.from, facts.change.to) {
        case (_, .finWait1):
            if case .sending = facts.cause {
                return Phrase("its FIN is on the way; it waits for the confirmation.", "FIN 已发出，等待确认。")
            }
            return Phrase(
                "the program has closed; the FIN follows behind the data that still waits.",
                "应用程序已经关闭；FIN 排在尚未发完的数据之后。")
        case (_, .finWait2):
            return Phrase(
                "its FIN is confirmed: this direction is closed. The other is still open, and data can still come.",
                "FIN 得到确认：这个方向关闭了。另一个方向还开着，仍可能有数据到来。")
        case (_, .closeWait):
            return Phrase(
                "the other end will send no more; the program reads \"end of stream\". The state lasts until the program closes, for ever if it forgets.",
                "对方不会再发数据了，应用程序读到“流结束”。这个状态会一直持续到应用程序关闭为止；若它忘了关，就永远停在这里。")
        case (_, .closing):
            return Phrase(
                "the other's FIN came before the confirmation of its own: both closed at the same moment.",
                "自己的 FIN 还没得到确认，对方的 FIN 先到了：双方在同一时刻关闭。")
        case (_, .lastAck):
            return Phrase(
                "both FINs are out; only the last confirmation is missing. No more data can come.",
                "两个 FIN 都已发出，只差最后的确认。不会再有数据到来。")
        case (.finWait1, .timeWait):
            return Phrase(
                "confirmation and FIN came in one segment: both directions are closed at once, without FIN-WAIT-2. It stays for 2 MSL, twice the longest that a segment can live in the network.",
                "确认和 FIN 在同一个报文段里到达：两个方向同时关闭，不经过 FIN-WAIT-2。它要停留 2 MSL（MSL 是报文段在网络中最长的寿命）。")
        case (.closing, .timeWait):
            return Phrase(
                "its FIN is confirmed too. Both closed actively, so both wait here.",
                "自己的 FIN 也得到了确认。双方都是主动关闭，所以双方都在此等待。")
        default:
            return Phrase(
                "both directions are closed. It stays for 2 MSL, twice the longest that a segment can live in the network: to confirm again if its last segment is lost, and until no old segment of this connection is left.",
                "两个方向都关闭了。它要停留 2 MSL（MSL 是报文段在网络中最长的寿命）：万一最后的确认丢了可以再发；也让网络中这个连接的旧报文段全部消失。")
        }
    }

    private func toClosed(_ facts: ChangeFacts) -> Phrase {
        switch facts.change.from {
        case .listen: return Phrase("the program stops waiting for connections.", "应用程序不再等待连接。")
        case .lastAck:
            return Phrase(
                "the last confirmation came. Here all is over at once: this end knows that both FINs arrived.",
                "最后的确认到了。这一端立刻就完全结束：它知道两个 FIN 都已送达。")
        case .timeWait:
            if case .arrival = facts.cause {
                return Phrase(
                    "a new SYN with a newer number takes the place over before the time is up.",
                    "一个序号更新的 SYN 到来，不等时间到就接过了这个位置。")
            }
            if facts.lasted < .milliseconds(10) {
                return Phrase(
                    "2 MSL is set to nothing here: the connection is forgotten at once.", "这里把 2 MSL 设成了零：连接立刻被遗忘。")
            }
            let time = NumberText.duration(facts.lasted)
            return Phrase(
                "2 MSL, here \(time), are over: no old segment can be left, and nothing of the connection is kept.",
                "2 MSL（这里是 \(time)）已过：网络里不会再有旧报文段，连接不留下任何东西。")
        case .finWait2:
            return Phrase(
                "no FIN came, and no program holds the connection any more: it is cleared away.",
                "对方的 FIN 一直没来，又没有程序持有这个连接：它被清理掉。")
        case .synReceived:
            return Phrase(
                "the third segment never came: the half-open entry is given up.",
                "第三个报文段始终没来：放弃这个半开的条目。")
        case .synSent:
            return Phrase("the attempt ends without a connection.", "这次尝试没有建成连接。")
        default:
            switch facts.lastAction {
            case .abort: return Phrase("the program has aborted.", "应用程序中止了连接。")
            case .closeUnread:
                return Phrase("the program left with data unread.", "应用程序丢下未读的数据走了。")
            default: return Phrase("the connection is given up.", "连接被放弃。")
            }
        }
    }

    private func afterReset(_ change: TracedStateChange) -> Phrase {
        switch change.from {
        case .synSent:
            Phrase("the connection is refused; the program is told so.", "连接被拒绝，应用程序得到通知。")
        case .timeWait:
            Phrase(
                "a reset ends TIME-WAIT before its time. That is allowed; RFC 1337 calls it assassination.",
                "RST 让 TIME-WAIT 提前结束。这是允许的；RFC 1337 称之为“暗杀”。")
        case .lastAck, .closing:
            Phrase(
                "a reset comes instead of the last confirmation: the connection is over, but this end never learns whether all was received.",
                "等来的不是最后的确认，而是 RST：连接结束了，但这一端永远不知道对方是否全部收到。")
        case .synReceived:
            Phrase(
                "the attempt was nobody's wish: the half-open connection is dropped, and the listener goes on as before.",
                "没有人要这次连接：半开的连接被丢弃，监听者照旧。")
        default:
            Phrase("the connection was reset by the other end; the program is told so.", "连接被对方复位，应用程序得到通知。")
        }
    }

    /// What a program did.
    func sentence(action: TracedAction) -> Phrase? {
        let end = Narrator.name(action.end)
        let who = SegmentWords.capitalized(end.english)
        switch action.action {
        case .connect: return nil
        case .accept:
            return Phrase(
                "The program at \(end.english) is handed the connection: accept() returns.",
                "\(end.chinese)的应用程序拿到了连接：accept() 返回。")
        case .write(let count):
            return Phrase(
                "The program at \(end.english) writes \(octets(count)).",
                "\(end.chinese)的应用程序写入 \(NumberText.grouped(count)) 字节。")
        case .read(let count):
            return Phrase(
                "The program at \(end.english) has read \(octets(count)).",
                "\(end.chinese)的应用程序已读走 \(NumberText.grouped(count)) 字节。")
        case .endOfStream:
            return Phrase(
                "The program at \(end.english) reads \"end of stream\": the other end has sent all it will.",
                "\(end.chinese)的应用程序读到“流结束”：对方要发的都发完了。")
        case .close:
            return Phrase(
                "The program at \(end.english) calls close(): it has no more to send.",
                "\(end.chinese)的应用程序调用 close()：没有更多数据要发了。")
        case .closeUnread(let count):
            return Phrase(
                "The program at \(end.english) goes away and leaves \(octets(count)) unread.",
                "\(end.chinese)的应用程序走了，留下 \(NumberText.grouped(count)) 字节没读。")
        case .abort:
            return Phrase("The program at \(end.english) aborts.", "\(end.chinese)的应用程序中止连接。")
        case .release: return nil
        case .failed(let error):
            return Phrase(
                "The program at \(end.english) is told: \(Narrator.error(error).english).",
                "\(end.chinese)的应用程序得到通知：\(Narrator.error(error).chinese)。")
        case .crash:
            return Phrase(
                "\(who) loses its power, and with it all it knew of its connections. It tells nobody.",
                "\(end.chinese)断电，连同它所知道的一切连接。它没有告诉任何人。")
        case .restart:
            return Phrase("\(who) is back, with an empty memory.", "\(end.chinese)重新启动，记忆一片空白。")
        }
    }

    /// A program that reads what was left and then the end.
    func sentence(end action: TracedAction, reading count: Int) -> Phrase {
        let end = Narrator.name(action.end)
        return Phrase(
            "The program at \(end.english) has read \(octets(count)), and then \"end of stream\": the other end has sent all it will.",
            "\(end.chinese)的应用程序已读走 \(NumberText.grouped(count)) 字节，然后读到“流结束”：对方要发的都发完了。")
    }

    private func octets(_ count: Int) -> String { count == 1 ? "1 octet" : "\(NumberText.grouped(count)) octets" }

    static func error(_ error: ConnectionError) -> Phrase {
        switch error {
        case .refused: Phrase("connection refused", "连接被拒绝")
        case .reset: Phrase("connection reset", "连接被复位")
        case .timedOut: Phrase("timed out", "超时")
        case .unreachable: Phrase("the peer cannot be reached", "对方不可达")
        case .aborted: Phrase("aborted on this side", "本端已中止")
        case .closing: Phrase("this side has closed already", "本端已经关闭")
        case .notOpen: Phrase("there is no such connection", "没有这个连接")
        case .noMemory: Phrase("no memory is left", "内存不足")
        }
    }
}
