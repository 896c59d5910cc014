internal import ArgumentParser
internal import TCPSimulator
internal import TCPTrace

/// The languages by the names people give.
enum LanguageName: String, ExpressibleByArgument, CaseIterable {
    case en, zh

    var language: Language { self == .zh ? .chinese : .english }
}

/// What `demo` and `simulate` have in common.
struct PresentationOptions: ParsableArguments {
    @Option(help: "The language of the explanations: en or zh. By default the locale's.")
    var language: LanguageName?

    @Flag(help: "Print one JSON object a line, and nothing else.")
    var json = false

    @Flag(help: "Let the hosts speak IPv6.")
    var ipv6 = false

    @Option(help: "The number that chance comes from: the same seed gives the same run.")
    var seed: UInt64 = 1

    var chosenLanguage: Language { language?.language ?? Terminal.language }

    var sceneOptions: SceneOptions { SceneOptions(seed: seed, ipv6: ipv6) }

    /// How to draw on this terminal.
    var style: Ladder.Style {
        var style = Ladder.Style()
        style.language = chosenLanguage
        style.width = Terminal.width
        style.usesColor = Terminal.usesColor
        return style
    }
}
