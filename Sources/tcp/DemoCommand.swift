internal import ArgumentParser
internal import TCPSimulator
internal import TCPTrace

/// `tcp demo`: a connection's whole life on one page.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Watch a connection open, carry data and close, with a reason for every step.",
        discussion: """
            Two hosts inside this process, joined by a simulated link, run the real stack in virtual time. No rights, \
            no device and no network are needed.
            """)

    @Option(
        help: "How much the client sends, as 65536, 64KiB or 1MB. By default 64KiB.", transform: Quantities.bytes)
    var bytes = 65_536

    @OptionGroup var presentation: PresentationOptions

    func validate() throws {
        guard bytes <= 256 << 20 else {
            throw ValidationError(
                "'--bytes' is at most 256MiB for a demonstration; 'tcp simulate transfer' carries more")
        }
    }

    func run() throws {
        let outcome = Demo(bytes: bytes, options: presentation.sceneOptions).play()
        if presentation.json {
            Terminal.say(JSONLines.lines(of: outcome.trace))
            Terminal.say([ResultLine.text(scenario: "demo", outcome)])
        } else {
            Terminal.say(page(outcome))
        }
        guard outcome.holds, outcome.isIntact else { throw ExitCode.failure }
    }

    private func page(_ outcome: SceneOutcome) -> [String] {
        var page = Page(presentation.style)
        let size = NumberText.grouped(bytes)
        page.heading(Phrase("The life of a TCP connection", "一个 TCP 连接的一生")[page.language])
        page.paragraph(
            Phrase(
                "Two programs want to exchange octets over a network that may lose, repeat and reorder what it carries. TCP numbers every octet and confirms what has arrived, so that all of them come out at the other end, once, in order. Below, a client connects to a server, sends \(size) octets, and both close. The link is 20 ms long each way; time is virtual, and nothing leaves this process.",
                "两个程序要通过网络交换数据，而网络可能丢失、重复、打乱它所传送的东西。TCP 给每个字节编号，并确认已经收到的部分，使所有字节在另一端恰好出现一次、次序不变。下面，一个客户端连接到服务器，发送 \(size) 字节，然后双方关闭。链路单程 20 毫秒；时间是虚拟的，没有任何东西离开这个进程。"
            ))
        page.blank()
        page.legend()
        page.blank()
        page.ladder(outcome.parts[0], foldsRunsOf: 4, foldsLosses: true)
        let delivered = NumberText.grouped(outcome.delivered)
        page.paragraph(
            outcome.isIntact
                ? Phrase(
                    "Result: all \(delivered) octets arrived, and each is the one that was sent.",
                    "结果：\(delivered) 字节全部到达，每个字节都与发送的一致。")
                : Phrase(
                    "Result: something went wrong. \(delivered) of \(size) octets arrived, and they are not what was sent.",
                    "结果：出错了。\(size) 字节中到达 \(delivered) 字节，且与发送的不一致。"))
        page.paragraph(
            Phrase(
                "Next: 'tcp simulate --list' shows what happens when segments are lost, old ones turn up, or both ends act at once.",
                "接下来：用 tcp simulate --list 看看报文段丢失、旧报文段冒出来、双方同时动作时会发生什么。"))
        return page.lines
    }
}

/// The last line of JSON.
enum ResultLine {
    static func text(scenario: String, _ outcome: SceneOutcome) -> String {
        var object = JSONObject()
        object.add("event", "result")
        object.add("scenario", scenario)
        object.add("delivered", outcome.delivered)
        object.add("intact", outcome.isIntact)
        return object.line
    }
}
